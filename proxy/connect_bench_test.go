package proxy_test

import (
	"net"
	"testing"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// BenchmarkConnect is one short session: login, a query, the end. Allocations are those of both sides.
func BenchmarkConnect(b *testing.B) {
	for _, mode := range []string{configs.PoolSession, configs.PoolTransaction} {
		b.Run(mode, func(b *testing.B) {
			f := newFake(b, "primary", false)
			f.scripted(prompt())
			h := start(b, func(c *configs.Config) { c.Pool.Mode = mode; c.Backends[0].Weight = 1 }, f)
			login := startupPacket("user", "u", "database", "d", "application_name", "bench")
			query := wire.AppendQuery(nil, "SELECT abalance FROM pgbench_accounts WHERE aid = 1")
			buf := make([]byte, 8<<10)
			ask := func(nc net.Conn, request []byte) {
				if _, err := nc.Write(request); err != nil {
					b.Fatal(err)
				}
				for { // the last message is ReadyForQuery
					if n, err := nc.Read(buf); err != nil {
						b.Fatal(err)
					} else if n >= 6 && buf[n-6] == wire.ReadyForQuery {
						return
					}
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				nc, err := net.Dial("tcp", h.addr)
				if err != nil {
					b.Fatal(err)
				}
				ask(nc, login)
				ask(nc, query)
				nc.Write(wire.AppendMessage(nil, wire.Terminate)) //nolint:errcheck // it goes anyway
				nc.Close()
			}
		})
	}
}
