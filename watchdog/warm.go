package watchdog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// warm has raft's connections to other members ready before they are needed. Raft gives a connection no longer than an election timeout to
// come about, and members that follow have none to each other until they elect. On a busy machine the handshake alone takes longer than that, and
// then nobody was elected for as long as it was busy.
//
// So one spare connection is kept to each voter; and a connection that comes about after raft gave it up is the next spare.
type warm struct {
	// open opens a connection. ctx limits it.
	open func(ctx context.Context, address string) (net.Conn, error)
	ctx  context.Context // of everything that is opened

	mu    sync.Mutex
	peers map[string]*warmPeer // by address
}

// warmPeer is what is ready for one member.
type warmPeer struct {
	spare   chan net.Conn // at most one
	opening chan struct{} // has an element for each connection that is being opened
}

// warmEvery is how often spares are looked at. maxOpening bounds the connections to one member that are being opened.
const (
	warmEvery  = time.Second
	maxOpening = 4
)

func newWarm(ctx context.Context, open func(ctx context.Context, address string) (net.Conn, error)) *warm {
	return &warm{open: open, ctx: ctx, peers: map[string]*warmPeer{}}
}

func (w *warm) peer(address string) *warmPeer {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.peers[address]
	if !ok {
		p = &warmPeer{make(chan net.Conn, 1), make(chan struct{}, maxOpening)}
		w.peers[address] = p
	}
	return p
}

// get is a connection to a member, whose owner is who asked. After limit there is an error, but what is being opened goes on.
func (w *warm) get(address string, limit time.Duration) (net.Conn, error) {
	p := w.peer(address)
	select {
	case conn := <-p.spare:
		return conn, nil
	default:
	}
	failed := make(chan error, 1)
	select {
	case p.opening <- struct{}{}:
		go func() { // ended by handshakeTimeout, or with ctx
			defer func() { <-p.opening }()
			failed <- w.refill(p, address)
		}()
	default: // one of those will do
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	for {
		select {
		case conn := <-p.spare:
			return conn, nil
		case err := <-failed:
			if err != nil {
				return nil, err
			} // or it is the spare now, unless somebody else was quicker
		case <-t.C:
			return nil, fmt.Errorf("connect to %s: %w after %s; it goes on", address, os.ErrDeadlineExceeded, limit)
		case <-w.ctx.Done():
			return nil, net.ErrClosed
		}
	}
}

// refill opens a connection and makes it the spare, or gives it to who waits for one.
func (w *warm) refill(p *warmPeer, address string) error {
	ctx, cancel := context.WithTimeout(w.ctx, handshakeTimeout)
	defer cancel()
	conn, err := w.open(ctx, address)
	if err != nil {
		return err
	}
	w.put(p, conn)
	return nil
}

func (w *warm) put(p *warmPeer, conn net.Conn) {
	select {
	case p.spare <- conn:
	default:
		conn.Close()
	}
}

// look replaces the spare to a member that is missing, or was closed by the other end.
func (w *warm) look(address string) {
	p := w.peer(address)
	select {
	case conn := <-p.spare:
		if isIdle(conn) {
			w.put(p, conn)
			return
		}
		conn.Close()
	default:
	}
	select {
	case p.opening <- struct{}{}:
		defer func() { <-p.opening }()
		_ = w.refill(p, address) // it is looked at again, and raft says so if it needs one
	default:
	}
}

// isIdle says whether a connection is open at both ends: nothing is to be read from one that nothing was asked on.
func isIdle(conn net.Conn) bool {
	if err := conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return false
	}
	_, err := conn.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded) && conn.SetReadDeadline(time.Time{}) == nil
}

// forget closes the spares of members that are not among those.
func (w *warm) forget(but map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for address, p := range w.peers {
		if but[address] {
			continue
		}
		select {
		case conn := <-p.spare:
			conn.Close()
		default:
		}
		if len(p.opening) == 0 {
			delete(w.peers, address)
		}
	}
}

// keepWarm keeps a spare connection to each voter until ctx ends.
func (w *Watchdog) keepWarm(ctx context.Context) {
	t := time.NewTicker(warmEvery)
	defer t.Stop()
	for {
		voters := map[string]bool{}
		if f := w.raft().GetConfiguration(); f.Error() == nil {
			for _, s := range f.Configuration().Servers {
				if s.Suffrage == raft.Voter && memberOf(s.ID) != w.self {
					voters[string(s.Address)] = true
				}
			}
		}
		var looks sync.WaitGroup
		for address := range voters {
			looks.Go(func() { w.warm.look(address) })
		}
		looks.Wait()
		w.warm.forget(voters)
		select {
		case <-ctx.Done():
			w.warm.forget(nil)
			return
		case <-t.C:
		}
	}
}
