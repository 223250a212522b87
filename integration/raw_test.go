package integration_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// raw is a client that says what a proper driver would not.
type raw struct {
	net.Conn
	front *pgproto3.Frontend
}

// dialRaw connects without a word. Every read and write of it has a deadline.
func dialRaw(address string) (*raw, error) {
	conn, err := net.DialTimeout("tcp4", address, waitTimeout)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := conn.SetDeadline(time.Now().Add(2 * waitTimeout)); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	return &raw{Conn: conn, front: pgproto3.NewFrontend(conn, conn)}, nil
}

// login connects and goes through a login that needs no password.
func login(address string, parameters map[string]string) (*raw, error) {
	r, err := dialRaw(address)
	if err != nil {
		return nil, err
	}
	r.front.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: parameters})
	if err := r.front.Flush(); err != nil {
		return nil, fmt.Errorf("send startup: %w", err)
	}
	return r, r.until('Z')
}

// until reads frames to the first of a type; an ErrorResponse on the way that is
// not it, is the error.
func (r *raw) until(kind byte) error {
	for {
		var head [5]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return fmt.Errorf("wait for %c: %w", kind, err)
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(r, body); err != nil {
			return fmt.Errorf("wait for %c: %w", kind, err)
		}
		if head[0] == kind {
			return nil
		}
		if head[0] == 'E' {
			return fmt.Errorf("wait for %c: got error %q", kind, body)
		}
	}
}

// query sends a simple query and does not wait.
func (r *raw) query(sql string) error {
	r.front.Send(&pgproto3.Query{String: sql})
	return r.front.Flush()
}

// reset closes the way a killed process on a lost network does: nothing said, what
// is in flight is lost.
func (r *raw) reset() error {
	if err := r.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		return fmt.Errorf("set linger: %w", err)
	}
	return r.Close()
}

// rest reads what comes until the other side closes, which must be soon.
func (r *raw) rest(t *testing.T) string {
	t.Helper()
	must(t, r.SetDeadline(time.Now().Add(10*time.Second)))
	data, err := io.ReadAll(r)
	if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
		t.Errorf("the connection stays open; until now came %q", data)
	}
	return string(data) // a reset is an end as well
}
