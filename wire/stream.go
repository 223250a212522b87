package wire

import (
	"errors"
	"io"
)

// errStreamed: a message could come in the middle of another.
var errStreamed = errors.New("write: the connection is a stream")

// Stream gives up the framing: what is unread and all that follows is to be had as a plain stream,
// whose reads and writes may run at the same time. Afterwards the Conn may only be closed, and its deadlines set.
func (c *Conn) Stream() (io.ReadWriter, error) {
	s := &stream{unread: append([]byte(nil), c.Buffered()...), Reader: c.nc, Writer: c.nc}
	c.release()
	if c.secure != nil {
		if c.secure.owes() {
			if err := c.Write(nil); err != nil {
				return nil, err
			}
		}
		c.secure.transport.established = false // it waits again, as while it shook hands
		s.Reader, s.Writer = c.secure.conn, c.secure.conn
	}
	c.streamed = true
	c.letGo()
	return s, nil
}

type stream struct {
	unread []byte
	io.Reader
	io.Writer
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.unread) > 0 {
		n := copy(p, s.unread)
		s.unread = s.unread[n:]
		return n, nil
	}
	return s.Reader.Read(p)
}
