package watchdog

import (
	"context"
	"io"
	"log/slog"
	"net"
	"syscall"
	"testing"
)

// short is a listener of a process that has no descriptors left for a while.
type short struct {
	net.Listener
	errs  []error
	conns []net.Conn
}

func (s *short) Accept() (conn net.Conn, err error) {
	if len(s.errs) > 0 {
		err, s.errs = s.errs[0], s.errs[1:]
		return nil, err
	}
	if len(s.conns) == 0 {
		return nil, net.ErrClosed
	}
	conn, s.conns = s.conns[0], s.conns[1:]
	return conn, nil
}

// An operator is answered again when there are descriptors again.
func TestOperatorsAreAcceptedAgain(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	l := &short{errs: []error{syscall.EMFILE, syscall.ENFILE}, conns: []net.Conn{here}}
	served := 0
	acceptAll(context.Background(), l, slog.New(slog.NewTextHandler(io.Discard, nil)), "an operator's", func(conn net.Conn) {
		served++
		conn.Close()
	})
	if served != 1 {
		t.Errorf("%d connections were accepted after there were no descriptors, want 1", served)
	}
}
