package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/howdah/howdah/wire"
)

// origin is where a client's connection comes from. Those of the networks in
// proxy_protocol.from begin with a header that says it; nobody else is believed.
func origin(c *wire.Conn, set *settings) (net.Addr, error) {
	remote := c.NetConn().RemoteAddr()
	tcp, ok := remote.(*net.TCPAddr)
	if !ok || !forwards(set.forwarders, tcp) {
		return remote, nil
	}
	from, ok, err := c.ReadProxyHeader()
	switch {
	case errors.Is(err, wire.ErrNoProxyHeader):
		return nil, fmt.Errorf("%w: %w", errNotAClient, err)
	case err != nil:
		return nil, startupReadError(err)
	case !ok: // the forwarder's own, as its health check
		return remote, nil
	}
	return net.TCPAddrFromAddrPort(from), nil
}

func forwards(networks []netip.Prefix, addr *net.TCPAddr) bool {
	if len(networks) == 0 {
		return false
	}
	ip, _ := netip.AddrFromSlice(addr.IP)
	ip = ip.Unmap()
	for _, n := range networks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}
