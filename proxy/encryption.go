package proxy

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/wire"
)

// tlsHandshake is the type of the first byte of a client that begins with TLS at once.
const tlsHandshake = 0x16

var errTLSRequired = &wire.Error{Code: "28000", Message: "connection is not encrypted, and howdah takes none without TLS here",
	Hint: "Connect with sslmode=require or higher. (The operator's setting is tls.client.mode.)"}

// isLocal is a connection over a Unix socket, where there is no TLS, as in PostgreSQL.
func isLocal(c *wire.Conn) bool {
	_, tcp := c.NetConn().RemoteAddr().(*net.TCPAddr)
	return !tcp
}

// directTLS shakes hands with a client that asks for nothing first
// (sslnegotiation=direct, PostgreSQL 17).
func (srv *Server) directTLS(c *wire.Conn, set *settings) error {
	if err := c.Need(1); err != nil {
		return startupReadError(err)
	}
	if c.Buffered()[0] != tlsHandshake {
		return nil
	}
	if set.tls == nil || isLocal(c) {
		return fmt.Errorf("%w: TLS at once, which is not offered", errNotAClient)
	}
	if err := acceptTLS(c, set); err != nil {
		return err
	}
	// Without this a client of another protocol could be led here (ALPACA).
	if c.TLS().NegotiatedProtocol != auth.ALPN {
		return fmt.Errorf("%w: TLS at once without ALPN protocol %s", errNotAClient, auth.ALPN)
	}
	return nil
}

// answerEncryption answers an SSLRequest or GSSENCRequest, and does what it said.
func answerEncryption(c *wire.Conn, code uint32, set *settings) error {
	accept := code == codeSSL && set.tls != nil && !isLocal(c)
	// What came in clear text must not be taken for something that came encrypted
	// (CVE-2021-23214). Somebody may have put it there.
	if accept && len(c.Buffered()) > 0 {
		return &wire.Error{Code: "08P01", Message: "received unencrypted data after SSL request",
			Detail: "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack."}
	}
	answer := []byte{'N'}
	if accept {
		answer[0] = 'S'
	}
	if err := c.Write(answer); err != nil {
		return clientError{err}
	}
	if !accept {
		return nil
	}
	return acceptTLS(c, set)
}

func acceptTLS(c *wire.Conn, set *settings) error {
	err := c.AcceptTLS(set.tls.Config)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: TLS handshake did not end within timeouts.auth", errNotAClient)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotAClient, err)
	}
	return nil
}
