package proxy

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgproto3/v2"

	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// maxStartup is the longest startup packet, as PostgreSQL's MAX_STARTUP_PACKET_LENGTH.
const maxStartup = 10000

// maxRequests bounds the SSL and GSSAPI encryption requests of one connection: one of each makes sense.
const maxRequests = 2

// Codes in the place of a startup packet's protocol version.
const (
	codeCancel = 80877102
	codeSSL    = 80877103
	codeGSSENC = 80877104
)

// The newest protocol version spoken with clients is 3.2, which differs from 3.0 by longer cancel
// keys (the manual, 54.1 and 54.2.9). Servers are spoken to in 3.0.
const (
	newestMinor = 2
	protocol    = pgproto3.ProtocolVersionNumber + newestMinor
)

// errNotAClient is a connection that sends no startup packet; it gets no
// answer, as from PostgreSQL.
var errNotAClient = errors.New("no startup packet")

// startup is a client's wish.
type startupRequest struct {
	key         pool.Key
	application string
	replication replicationKind
	route       *string // howdah.route, nil if it was not given
	minor       uint32  // of the protocol version that is spoken
	negotiate   []byte  // a NegotiateProtocolVersion message that must be sent first
	from        net.Addr
	seat        *seat
	tls         *tls.ConnectionState // nil: not encrypted
}

// readStartup reads a connection's first packets: it answers encryption
// requests, carries out a cancel request (then the result is nil), and returns
// what a client wants.
func (srv *Server) readStartup(c *wire.Conn, set *settings) (*startupRequest, error) {
	if err := srv.directTLS(c, set); err != nil {
		return nil, err
	}
	for range maxRequests + 1 {
		if err := c.Need(8); err != nil {
			return nil, startupReadError(err)
		}
		head := c.Buffered()
		size, code := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
		if size < 8 || size > maxStartup {
			return nil, fmt.Errorf("%w: length %d", errNotAClient, size)
		}
		if err := c.Need(int(size)); err != nil {
			return nil, startupReadError(err)
		}
		packet := c.Buffered()[8:size]
		state := c.TLS()
		switch {
		case state == nil && (code == codeSSL || code == codeGSSENC):
			c.Discard(int(size))
			if err := answerEncryption(c, code, set); err != nil {
				return nil, err
			}
			continue
		case code == codeCancel:
			if size > 12 && size <= 12+maxCancelKey {
				srv.cancel(binary.BigEndian.Uint32(packet), cancelKey(packet[4:]))
			}
			return nil, nil
		}
		req, err := parseStartup(code, packet)
		c.Discard(int(size))
		if err == nil && state == nil && set.tlsRequired && !isLocal(c) {
			err = errTLSRequired
		}
		if err == nil {
			req.tls = state
		}
		return req, err
	}
	return nil, fmt.Errorf("%w: encryption asked for again and again", errNotAClient)
}

func startupReadError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w within timeouts.auth", errNotAClient)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return clientError{io.EOF}
	}
	return clientError{err}
}

// errOldProtocol is a client of a protocol before 3; it needs an answer of its own form.
type errOldProtocol struct{ major, minor uint32 }

func (e errOldProtocol) Error() string {
	return fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0 to 3.2", e.major, e.minor)
}

// parseStartup reads the parameters of a startup packet.
func parseStartup(code uint32, packet []byte) (*startupRequest, error) {
	major, minor := code>>16, code&0xffff
	if major != 3 {
		if major < 3 {
			return nil, errOldProtocol{major, minor}
		}
		return nil, &wire.Error{Code: "0A000", Message: errOldProtocol{major, minor}.Error()}
	}
	layout := &wire.Error{Code: "08P01", Message: "invalid startup packet layout: expected terminator as last byte"}
	req := &startupRequest{}
	var params, unknown []string
	for {
		if len(packet) == 0 {
			return nil, layout
		}
		if packet[0] == 0 {
			if len(packet) != 1 {
				return nil, layout
			}
			break
		}
		name, rest, ok := wire.CString(packet)
		value, rest, ok2 := wire.CString(rest)
		if !ok || !ok2 {
			return nil, layout
		}
		packet = rest
		switch n, v := string(name), string(value); {
		case n == "user":
			req.key.User = v
		case n == "database":
			req.key.Database = v
		case n == "replication":
			switch {
			case v == "database":
				req.replication = logicalReplication
			case !isFalse(v):
				req.replication = physicalReplication
			}
			if req.replication != notReplication {
				params = append(params, n+"\x00"+v+"\x00")
			}
		case strings.HasPrefix(n, "_pq_."):
			unknown = append(unknown, n)
		case req.ownParam(n, v):
		default:
			if n == "application_name" {
				req.application = v
			}
			if n == "options" {
				if v = req.takeOwn(v); v == "" {
					continue
				}
			}
			params = append(params, n+"\x00"+v+"\x00")
		}
	}
	if req.key.User == "" {
		return nil, &wire.Error{Code: "28000", Message: "no PostgreSQL user name specified in startup packet"}
	}
	if req.key.Database == "" {
		req.key.Database = req.key.User
	}
	slices.Sort(params)
	req.key.Params = strings.Join(params, "")
	req.minor = min(minor, newestMinor)
	if minor > newestMinor || len(unknown) > 0 {
		req.negotiate = negotiate(req.minor, unknown)
	}
	return req, nil
}

func isFalse(v string) bool {
	switch strings.ToLower(v) {
	case "false", "off", "no", "0", "f", "n":
		return true
	}
	return false
}

// negotiate is a NegotiateProtocolVersion message.
func negotiate(minor uint32, unknown []string) []byte {
	body := binary.BigEndian.AppendUint32(nil, pgproto3.ProtocolVersionNumber+minor)
	body = binary.BigEndian.AppendUint32(body, uint32(len(unknown)))
	for _, name := range unknown {
		body = append(append(body, name...), 0)
	}
	return wire.AppendMessage(nil, wire.NegotiateProtocol, string(body))
}

// cancel carries out a cancel request, without a word to who sent it. One with a key that no session here has may
// be meant for another howdah behind the same address.
func (srv *Server) cancel(pid uint32, secret []byte) {
	if srv.Cancel(pid, secret) {
		return
	}
	if forward := srv.forwardCancel.Load(); forward != nil && (*forward)(pid, secret) {
		return
	}
	srv.log.Info("cancel request with a key that no session has", "pid", pid)
}

// Cancel carries out a cancel request for a session of this howdah; false: there is none with that key. The secret is
// 4 bytes, or up to 256 from a client of protocol 3.2.
func (srv *Server) Cancel(pid uint32, secret []byte) bool {
	s := srv.registry.find(pid, secret)
	if s == nil {
		return false
	}
	if err := s.cancelling.cancel(srv.context); err != nil {
		s.log.Warn("cancel request failed", "error", err)
	}
	return true
}

// ForwardCancels takes a function that hands cancel requests to other howdahs, and reports whether one had the
// session. It is called from many goroutines and must bound itself.
func (srv *Server) ForwardCancels(forward func(pid uint32, secret []byte) bool) {
	srv.forwardCancel.Store(&forward)
}

// receive takes a connection from accept to the end of its login. It returns the session,
// nil without an error if the connection was not for one, and the log for what follows.
func (srv *Server) receive(c *wire.Conn, st *seat, log *slog.Logger) (*session, *slog.Logger, error) {
	set := srv.settings.Load()
	deadline := time.Now().Add(set.timeouts.Auth)
	c.SetDeadline(deadline)
	left := srv.arrivals.add(c.NetConn(), set.maxUnauthenticated, srv.log)
	defer left()
	from, err := origin(c, set)
	if err != nil {
		return nil, log, srv.refuseStartup(c, log, err)
	}
	if from != c.NetConn().RemoteAddr() {
		log = srv.log.With("client", loggedAddr{from}, "forwarded_by", loggedAddr{c.NetConn().RemoteAddr()})
	}
	if addr, ok := addressOf(from); ok && !srv.rates.admit(addr, time.Now(), set.rates) {
		return nil, log, errTooManyLogins // before anything is read or computed
	}
	s, err := srv.admit(c, from, deadline, st, set, log)
	return s, log, err
}

// admit logs a client in and returns its session.
func (srv *Server) admit(c *wire.Conn, from net.Addr, deadline time.Time, st *seat, set *settings, log *slog.Logger) (*session, error) {
	req, err := srv.readStartup(c, set)
	if err != nil || req == nil {
		return nil, srv.refuseStartup(c, log, err)
	}
	req.from, req.seat = from, st
	if st.none {
		return nil, &wire.Error{Code: "53300", Message: "sorry, too many clients already",
			Detail: fmt.Sprintf("howdah serves at most %d clients (limits.max_clients).", set.limits.MaxClients)}
	}
	if srv.stopping.Load() {
		return nil, &wire.Error{Code: "57P03", Message: "howdah is shutting down"}
	}
	ctx, cancel := context.WithDeadlineCause(srv.context, deadline,
		&wire.Error{Code: "57014", Message: "login took too long", Hint: "The limit is timeouts.auth."})
	defer cancel()
	s, err := srv.login(ctx, c, req, set, log)
	if err != nil || s == nil {
		return nil, err
	}
	return s, c.SetDeadline(time.Time{})
}

// refuseStartup answers what is no proper startup packet.
func (srv *Server) refuseStartup(c *wire.Conn, log *slog.Logger, err error) error {
	var old errOldProtocol
	switch {
	case errors.As(err, &old):
		log.Info("refused a client", "error", err)
		// Protocol 2 had no lengths: a type, a text, a zero.
		c.Write([]byte("EFATAL:  " + old.Error() + "\n\x00"))
		return nil
	case errors.Is(err, errNotAClient):
		log.Info("refused a connection", "error", err)
		return nil
	}
	return err
}
