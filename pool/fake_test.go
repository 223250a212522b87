package pool_test

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/wire"
)

// fake is a server that logs everybody in and obeys every query, unless told otherwise.
type fake struct {
	l       net.Listener
	node    *cluster.Node
	opened  atomic.Int64
	open    atomic.Int64
	most    atomic.Int64 // the most that were ever open
	queries atomic.Int64
	cancels chan [2]uint32
	// greet, if set, is what a login gets instead of a welcome; then the connection is closed.
	greet atomic.Pointer[[]byte]
	// reply, if set, is what a query gets.
	reply atomic.Pointer[[]byte]

	mu    sync.Mutex
	conns map[net.Conn]bool
	done  sync.WaitGroup
}

var completed = wire.AppendReady(wire.AppendMessage(nil, wire.CommandComplete, "DISCARD ALL\x00"), wire.TxIdle)

func newFake(t testing.TB) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{l: l, conns: map[net.Conn]bool{}, cancels: make(chan [2]uint32, 100)}
	f.node = &cluster.Node{ID: 0, Name: "fake", Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, State: cluster.StateUp}
	f.done.Go(f.accept)
	t.Cleanup(func() {
		l.Close()
		f.each(func(c net.Conn) { c.Close() })
		f.done.Wait()
	})
	return f
}

func (f *fake) each(do func(net.Conn)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		do(c)
	}
}

func (f *fake) accept() {
	for {
		nc, err := f.l.Accept()
		if err != nil {
			return
		}
		c := wire.NewConn(nc)
		f.mu.Lock()
		f.conns[c.NetConn()] = true
		f.mu.Unlock()
		f.done.Go(func() {
			f.serve(c)
			c.Close()
			f.mu.Lock()
			delete(f.conns, c.NetConn())
			f.mu.Unlock()
		})
	}
}

func (f *fake) serve(c *wire.Conn) {
	if c.Need(8) != nil {
		return
	}
	size := int(binary.BigEndian.Uint32(c.Buffered()))
	if c.Need(size) != nil {
		return
	}
	packet := c.Buffered()[4:size]
	if binary.BigEndian.Uint32(packet) == 80877102 {
		f.cancels <- [2]uint32{binary.BigEndian.Uint32(packet[4:]), binary.BigEndian.Uint32(packet[8:])}
		return
	}
	c.Discard(size)
	if greet := f.greet.Load(); greet != nil {
		c.Write(*greet)
		return
	}
	number := f.opened.Add(1)
	defer f.open.Add(-1)
	for now := f.open.Add(1); ; {
		most := f.most.Load()
		if now <= most || f.most.CompareAndSwap(most, now) {
			break
		}
	}
	b := wire.AppendMessage(nil, wire.Authentication, "\x00\x00\x00\x00")
	b = wire.AppendMessage(b, wire.ParameterStatus, "server_version\x0015\x00")
	b = wire.AppendHeader(b, wire.BackendKeyData, 8)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, uint32(number)), 4711)
	c.Write(wire.AppendReady(b, wire.TxIdle))
	for {
		typ, _, err := c.Next(1 << 20)
		if err != nil || typ == wire.Terminate {
			return
		}
		if typ != wire.Query && typ != wire.Sync {
			continue
		}
		f.queries.Add(1)
		reply := completed
		if r := f.reply.Load(); r != nil {
			reply = *r
		}
		if len(reply) == 0 || c.Write(reply) != nil {
			return
		}
	}
}
