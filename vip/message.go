package vip

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"

	"github.com/howdah/howdah/configs"
	"golang.org/x/sys/unix"
)

const (
	// maxMessage bounds one message between howdah and its guardian, in bytes.
	maxMessage = 64 << 10
	// clientsPerMessage keeps a message with connections below that.
	clientsPerMessage = 400
)

// toGuardian is a message to the guardian; each has one of the parts.
type toGuardian struct {
	// Hello is the first one.
	Hello *hello `json:"hello,omitempty"`
	Order *order `json:"order,omitempty"`
	// Will replaces the one in Hello, or from before (Manager.Will).
	Will *[]byte `json:"will,omitempty"`
	// Clients are some of a list; First begins a new one, Last makes it count.
	Clients     []Connection `json:"clients,omitempty"`
	First, Last bool
}

// hello is what a guardian has to know.
type hello struct {
	VIP   configs.VIP `json:"vip"`
	Log   configs.Log `json:"log"`
	Order order       `json:"order"`
	Will  []byte      `json:"will,omitempty"`
}

// fromGuardian is what a guardian answers every order with, and tells of itself.
type fromGuardian struct {
	State State `json:"state"`
}

// channel is one end of the socket between howdah and its guardian: packets that
// arrive whole and in order, and an end that is seen when the other process is gone.
type channel struct{ conn *net.UnixConn }

// newChannel is a channel and the file of its other end, for the guardian.
func newChannel() (*channel, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket for the guardian: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "guardian"), os.NewFile(uintptr(fds[1]), "howdah")
	c, err := channelOf(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return c, theirs, nil
}

// channelOf takes ownership of f.
func channelOf(f *os.File) (*channel, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("use socket to the guardian: %w", err)
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("use socket to the guardian: it is a %T", conn)
	}
	return &channel{unixConn}, nil
}

// send sends a message. It never waits: if the other side does not read, the error is
// unix.EAGAIN, and nothing was sent.
func (c *channel) send(message any) error {
	data, err := encode(message)
	if err != nil {
		return err
	}
	if len(data) > maxMessage {
		return fmt.Errorf("encode message: %d bytes are too many", len(data))
	}
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	var sendErr error
	if err := raw.Write(func(fd uintptr) bool {
		sendErr = unix.Sendto(int(fd), data, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
		return true
	}); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	if sendErr != nil {
		return fmt.Errorf("send message: %w", sendErr)
	}
	return nil
}

// encode writes < and > as they are: escaped they take six times the room.
func encode(message any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(message); err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return b.Bytes(), nil
}

// receive waits for a message; buf holds maxMessage bytes. The error is what ended the
// channel, io.EOF if it is the other side.
func (c *channel) receive(buf []byte, message any) error {
	n, err := c.conn.Read(buf)
	if err != nil {
		return fmt.Errorf("receive message: %w", err)
	}
	if n == 0 {
		return errGone
	}
	if err := json.Unmarshal(buf[:n], message); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	return nil
}

func (c *channel) close() { c.conn.Close() }

// clientMessages cuts a list into messages.
func clientMessages(list []Connection) []toGuardian {
	messages := []toGuardian{{First: true}}
	for len(list) > 0 {
		n := min(len(list), clientsPerMessage)
		last := &messages[len(messages)-1]
		last.Clients = list[:n]
		list = list[n:]
		if len(list) > 0 {
			messages = append(messages, toGuardian{})
		}
	}
	messages[len(messages)-1].Last = true
	return messages
}
