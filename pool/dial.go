package pool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/wire"
	"github.com/howdah/howdah/wire/socket"
)

// Address returns the network and address of a node.
func Address(n *cluster.Node) (network, addr string) {
	if strings.HasPrefix(n.Host, "/") {
		return "unix", fmt.Sprintf("%s/.s.PGSQL.%d", n.Host, n.Port)
	}
	return "tcp", net.JoinHostPort(n.Host, strconv.Itoa(n.Port))
}

// sslRequest asks a server for TLS (PostgreSQL manual 55.7, SSLRequest).
const sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

// handshakeError is a failure after the server had agreed to TLS.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// dial connects to a node, with TLS if tls is not nil and the server has it; ctx bounds
// all of it. The caller closes the connection.
func dial(ctx context.Context, n *cluster.Node, tls *auth.BackendTLS) (*wire.Conn, error) {
	network, addr := Address(n)
	nc, err := cluster.DialProxied(ctx, network, addr, n.ProxyProtocol)
	if err != nil {
		return nil, err
	}
	if nc, err = socket.Take(nc); err != nil {
		return nil, err
	}
	c := wire.NewConn(nc)
	if tls == nil {
		return c, nil
	}
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	err = requestTLS(c, tls)
	if !stop() && err == nil || err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func requestTLS(c *wire.Conn, tls *auth.BackendTLS) error {
	if err := c.Exchange([]byte(sslRequest), func() error { return nil }); err != nil {
		return fmt.Errorf("ask for TLS: %w", err)
	}
	if err := c.Need(1); err != nil {
		return fmt.Errorf("ask for TLS: %w", err)
	}
	answer := c.Buffered()[0]
	c.Discard(1)
	switch answer {
	case 'S':
		// What came in clear text must not be taken for something that came encrypted
		// (CVE-2021-23222): RequestTLS refuses it.
		if err := c.RequestTLS(tls.Config); err != nil {
			return &handshakeError{err}
		}
		return nil
	case 'N':
		if tls.Required {
			return errors.New("the server does not offer TLS, and tls.mode demands it")
		}
		return nil
	case wire.ErrorResponse:
		// Not proven to be of the server, so it is not shown (CVE-2024-10977).
		return errors.New("the server answers the request for TLS with an error")
	}
	return fmt.Errorf("the server answers the request for TLS with %q", answer)
}
