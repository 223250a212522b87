package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	clientTimeout = 30 * time.Second
	// mostReply bounds a message from the proxy; none of ours comes near.
	mostReply = 1 << 20
)

// client is the least of a PostgreSQL client: it logs in where nothing is asked,
// sends simple queries and stays. It keeps no buffer, so that thousands of them
// cost this program little. Protocol: PostgreSQL manual, section "Message Formats".
type client struct{ conn net.Conn }

// login connects to 127.0.0.1 and returns when the server is ready for a query.
func login(port int, user, database string) (client, error) {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), clientTimeout)
	if err != nil {
		return client{}, fmt.Errorf("connect: %w", err)
	}
	c := client{conn: conn}
	if err := c.exchange(startupMessage(user, database)); err != nil {
		conn.Close()
		return client{}, fmt.Errorf("log in: %w", err)
	}
	return c, nil
}

func (c client) query(sql string) error {
	if err := c.exchange(queryMessage(sql)); err != nil {
		return fmt.Errorf("query: %w", err)
	}
	return nil
}

// leave says goodbye (Terminate) and closes.
func (c client) leave() {
	_ = c.conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.conn.Write([]byte{'X', 0, 0, 0, 4})
	_ = c.conn.Close()
}

// exchange sends a message and reads up to ReadyForQuery.
func (c client) exchange(message []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(clientTimeout)); err != nil {
		return err
	}
	if _, err := c.conn.Write(message); err != nil {
		return err
	}
	// Nothing follows ReadyForQuery unasked, so the reader swallows nothing.
	return readUntilReady(bufio.NewReaderSize(c.conn, 1<<10))
}

// readUntilReady returns at ReadyForQuery, or with what the server objects to.
func readUntilReady(r *bufio.Reader) error {
	var refusal error
	for {
		kind, body, err := readMessage(r)
		if err != nil {
			return errors.Join(refusal, err)
		}
		switch kind {
		case 'Z':
			return refusal
		case 'E':
			refusal = errors.New(errorText(body))
		case 'R':
			if len(body) < 4 || binary.BigEndian.Uint32(body) != 0 {
				return errors.New("the proxy asks for a password although trust is configured")
			}
		}
	}
}

func readMessage(r *bufio.Reader) (kind byte, body []byte, err error) {
	var header [5]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(header[1:])
	if length < 4 || length > mostReply {
		return 0, nil, fmt.Errorf("message %q of %d bytes", header[0], length)
	}
	body = make([]byte, length-4)
	_, err = io.ReadFull(r, body)
	return header[0], body, err
}

func startupMessage(user, database string) []byte {
	const version3 = 3 << 16
	b := binary.BigEndian.AppendUint32(make([]byte, 4), version3)
	for _, s := range []string{"user", user, "database", database} {
		b = append(append(b, s...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func queryMessage(sql string) []byte {
	b := []byte{'Q', 0, 0, 0, 0}
	b = append(append(b, sql...), 0)
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1))
	return b
}

// errorText is "SQLSTATE message" of an ErrorResponse.
func errorText(body []byte) string {
	var code, message string
	for len(body) > 1 {
		field := body[0]
		i := 1
		for i < len(body) && body[i] != 0 {
			i++
		}
		switch field {
		case 'C':
			code = string(body[1:i])
		case 'M':
			message = string(body[1:i])
		}
		body = body[min(i+1, len(body)):]
	}
	return code + " " + message
}
