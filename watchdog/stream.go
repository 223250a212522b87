package watchdog

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// The two protocols on a member's port. The cluster's name is part of them, so that members
// of two clusters with one authority do not meet.
func raftProtocol(cluster string) string { return "howdah-raft/1/" + cluster }
func rpcProtocol(cluster string) string  { return "howdah-rpc/1/" + cluster }

// Limits of connections between members.
const (
	handshakeTimeout = 5 * time.Second
	// maxConns bounds the connections that are accepted at the same time.
	maxConns = 256
)

// port is the one TCP port of a member: TLS with certificates on both sides, then raft or RPC
// by what was agreed on in the handshake.
type port struct {
	listener net.Listener
	cluster  string
	self     core.MemberID
	tls      *tls.Config
	log      *slog.Logger
	raft     chan net.Conn
	rpc      func(ctx context.Context, peer core.MemberID, conn net.Conn)
	slots    chan struct{}

	ctx    context.Context // of everything accepted; ended by Close
	cancel context.CancelFunc
	wait   sync.WaitGroup
	once   sync.Once
}

func listen(address, cluster string, self core.MemberID, k *keys, log *slog.Logger) (*port, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for members: %w", err)
	}
	c := k.tls.Clone()
	c.NextProtos = []string{raftProtocol(cluster), rpcProtocol(cluster)}
	ctx, cancel := context.WithCancel(context.Background())
	return &port{listener: l, cluster: cluster, self: self, tls: c, log: log, raft: make(chan net.Conn), slots: make(chan struct{}, maxConns),
		ctx: ctx, cancel: cancel}, nil
}

// start accepts until close, which must not come before.
func (p *port) start() { p.wait.Go(p.serve) } // it counts itself, so that close cannot find nobody while one is accepted

func (p *port) serve() {
	acceptAll(p.ctx, p.listener, p.log, "a member's", func(conn net.Conn) {
		select {
		case p.slots <- struct{}{}:
		default:
			conn.Close()
			return
		}
		p.wait.Go(func() { // ended by close, through ctx
			p.accept(conn)
			<-p.slots
		})
	})
}

func (p *port) accept(conn net.Conn) {
	secure := tls.Server(conn, p.tls)
	ctx, cancel := context.WithTimeout(p.ctx, handshakeTimeout)
	err := secure.HandshakeContext(ctx)
	cancel()
	var peer core.MemberID
	if err == nil {
		peer, err = peerOf(secure.ConnectionState())
	}
	if err != nil {
		conn.Close()
		p.log.Warn("a connection was refused: it is no member's", "from", conn.RemoteAddr(), "error", err)
		return
	}
	switch secure.ConnectionState().NegotiatedProtocol {
	case raftProtocol(p.cluster):
		select {
		case p.raft <- secure: // raft's transport owns it now
		case <-p.ctx.Done():
			secure.Close()
		}
	case rpcProtocol(p.cluster):
		stop := context.AfterFunc(p.ctx, func() { secure.Close() })
		p.rpc(p.ctx, peer, secure)
		stop()
		secure.Close()
	default:
		secure.Close()
	}
}

// dial connects to a member and holds that it is that one.
func (p *port) dial(ctx context.Context, protocol string, peer core.MemberID, address string) (net.Conn, error) {
	c := p.tls.Clone()
	c.NextProtos, c.ServerName = []string{protocol}, string(peer)
	d := tls.Dialer{Config: c}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to member %s: %w", peer, err)
	}
	return conn, nil
}

func (p *port) close() {
	p.once.Do(func() {
		p.cancel()
		p.listener.Close()
	})
	p.wait.Wait()
}

// raftStream is the port as raft's transport sees it.
type raftStream struct {
	*port
	// who finds the member that an address belongs to, so that its certificate can be checked.
	who  func(address string) (core.MemberID, bool)
	warm *warm
}

func newRaftStream(p *port, who func(address string) (core.MemberID, bool)) raftStream {
	s := raftStream{port: p, who: who}
	s.warm = newWarm(p.ctx, s.open)
	return s
}

// Accept waits for a member's connection.
func (s raftStream) Accept() (net.Conn, error) {
	select {
	case conn := <-s.raft:
		return conn, nil
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close does nothing: the port outlives raft.
func (s raftStream) Close() error { return nil }

// Addr is where this member listens.
func (s raftStream) Addr() net.Addr { return s.listener.Addr() }

// Dial is a connection to a member that is ready, or becomes so within the timeout.
func (s raftStream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return s.warm.get(string(address), timeout)
}

// open connects to the member that an address belongs to, whose certificate is checked.
func (s raftStream) open(ctx context.Context, address string) (net.Conn, error) {
	peer, ok := s.who(address)
	if !ok {
		return nil, fmt.Errorf("no member is known at %s", address)
	}
	return s.dial(ctx, raftProtocol(s.cluster), peer, address)
}
