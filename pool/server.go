package pool

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/jackc/pgproto3/v2"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/wire"
)

// Key says which sessions may share a connection.
type Key struct {
	User, Database string
	// Params are the other startup parameters, "name\0value\0" each, in the
	// order of their names.
	Params string
	// Credentials is the identity of what the connection was opened with: a session
	// that proved less must not get it.
	Credentials string
	// Shared says that sessions hand the connection on between transactions, with
	// what they left on it (Park).
	Shared bool
}

// Server is one connection to a node, logged in. It belongs to whoever
// acquired it until Release or Discard.
type Server struct {
	*wire.Conn
	Node cluster.NodeID
	Key  Key
	// PID and Secret are the server's cancel key.
	PID, Secret uint32
	// Params are the settings as the server last reported them; Defaults are those of a
	// clean connection, the same pointer for equal ones.
	Params, Defaults *Params
	// Carried is what the borrower keeps with the connection, for itself and for who
	// gets it after Park. It is nil for a new connection and after Release.
	Carried any

	// Run is the node's (cluster.Node.Run) when the connection was opened.
	Run uint64

	node           *cluster.Node // as it was then, for a cancel request
	group          *group        // of its key
	encrypted      bool
	created, freed time.Time
	age            float64 // the share of pool.max_age that it may reach, so that not all end at once
}

// maxAgeJitter is how much sooner than after pool.max_age a connection may be closed.
const maxAgeJitter = 0.1

// isOld reports whether the connection has reached its age.
func (s *Server) isOld(set *Settings, now time.Time) bool {
	return set.MaxAge > 0 && now.Sub(s.created) > time.Duration(s.age*float64(set.MaxAge))
}

// maxLoginMessage bounds every message of a login; ErrorResponses are the largest.
const maxLoginMessage = 64 << 10

// maxLoginMessages bounds their number.
const maxLoginMessages = 200

// Refused is a login that the server refused with an ErrorResponse.
type Refused struct {
	Node string
	Code string // SQLSTATE
	// Response is the whole ErrorResponse message, to be handed to the client as it is.
	Response  []byte
	message   string
	encrypted bool // it came by TLS
}

func (e *Refused) Error() string {
	return fmt.Sprintf("log in to %s: %s (%s)", e.Node, e.message, e.Code)
}

// Unreachable is a node to which no connection could be made.
type Unreachable struct {
	Node cluster.NodeID
	Name string
	Err  error
}

func (e *Unreachable) Error() string { return fmt.Sprintf("connect to %s: %v", e.Name, e.Err) }
func (e *Unreachable) Unwrap() error { return e.Err }

// connect opens a connection and logs in; ctx bounds all of it. As with libpq's
// sslmode prefer, a node that need not be spoken to by TLS is tried without it when it
// fails at the handshake, or refuses who comes with it.
func connect(ctx context.Context, n *cluster.Node, key Key, cred auth.Credentials) (*Server, error) {
	s, err := connectOnce(ctx, n, key, cred, n.TLS)
	var refused *Refused
	var failed *handshakeError
	if err == nil || n.TLS == nil || n.TLS.Required || ctx.Err() != nil {
		return s, err
	}
	if errors.As(err, &failed) || errors.As(err, &refused) && refused.encrypted && refused.Code == "28000" {
		if s, again := connectOnce(ctx, n, key, cred, nil); again == nil {
			return s, nil
		}
	}
	return nil, err
}

func connectOnce(ctx context.Context, n *cluster.Node, key Key, cred auth.Credentials, tls *auth.BackendTLS) (*Server, error) {
	c, err := dial(ctx, n, tls)
	if err != nil {
		return nil, &Unreachable{Node: n.ID, Name: n.Name, Err: err}
	}
	s := &Server{Conn: c, Node: n.ID, Run: n.Run, Key: key, node: n, encrypted: c.TLS() != nil,
		created: now(), age: 1 - maxAgeJitter*mathrand.Float64()}
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	err = s.login(n.Name, cred)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = s.checkRole(n)
	}
	if err == nil {
		err = n.Vouches()
	}
	if err != nil {
		s.Close()
		var refused *Refused
		var known *wire.Error
		if errors.As(err, &refused) || errors.As(err, &known) {
			return nil, err
		}
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, &Unreachable{Node: n.ID, Name: n.Name, Err: fmt.Errorf("log in: %w", err)}
	}
	return s, nil
}

// checkRole refuses a connection whose server is not what the node is known to be.
func (s *Server) checkRole(n *cluster.Node) error {
	reported, _ := s.Params.Get("in_hot_standby")
	err := n.Contradicts(reported)
	if err != nil {
		s.SetDeadline(time.Now().Add(time.Second))
		s.Write(wire.AppendMessage(nil, wire.Terminate)) //nolint:errcheck // politeness
	}
	return err
}

// startup returns the StartupMessage of key.
func startup(key Key) []byte {
	b := make([]byte, 8, 128)
	binary.BigEndian.PutUint32(b[4:], pgproto3.ProtocolVersionNumber)
	b = append(b, "user\x00"+key.User+"\x00database\x00"+key.Database+"\x00"+key.Params+"\x00"...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func (s *Server) login(node string, cred auth.Credentials) error {
	if err := s.Write(startup(s.Key)); err != nil {
		return fmt.Errorf("send startup message: %w", err)
	}
	login := auth.NewLogin(s.Key.User, cred, rand.Reader)
	login.Bind(auth.ServerBinding(s.TLS()))
	for range maxLoginMessages {
		typ, msg, err := s.Next(maxLoginMessage)
		if err != nil {
			return fmt.Errorf("read login answer: %w", err)
		}
		body := msg[wire.HeaderSize:]
		switch typ {
		case wire.Authentication:
			reply, _, err := login.Step(body)
			if err != nil {
				return fmt.Errorf("log in to %s: %w", node, err)
			}
			if reply != nil {
				b, err := reply.Encode(nil)
				if err == nil {
					err = s.Write(b)
				}
				if err != nil {
					return fmt.Errorf("send login message: %w", err)
				}
			}
		case wire.ParameterStatus:
			s.NoteParameter(body)
		case wire.BackendKeyData:
			if len(body) != 8 {
				return fmt.Errorf("cancel key of %d bytes", len(body)-4)
			}
			s.PID, s.Secret = binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
		case wire.ErrorResponse:
			e := refused(node, msg)
			e.encrypted = s.encrypted
			return e
		case wire.NoticeResponse, wire.NegotiateProtocol:
		case wire.ReadyForQuery:
			s.Discard(0)
			return nil
		default:
			return fmt.Errorf("unexpected message %q during login", typ)
		}
	}
	return errors.New("login does not end")
}

func refused(node string, msg []byte) *Refused {
	body := msg[wire.HeaderSize:]
	return &Refused{
		Node:     node,
		Code:     string(wire.ErrorField(body, 'C')),
		message:  string(wire.ErrorField(body, 'M')),
		Response: append([]byte(nil), msg...),
	}
}

// NoteParameter takes in the body of a ParameterStatus message and returns
// its setting.
func (s *Server) NoteParameter(body []byte) (name, value string) {
	n, rest, ok := wire.CString(body)
	v, _, ok2 := wire.CString(rest)
	if !ok || !ok2 {
		return "", ""
	}
	if old, ok := s.Params.Get(string(n)); !ok || old != string(v) {
		s.Params = s.Params.With(string(n), string(v))
	}
	return string(n), string(v)
}

// reset makes the connection clean by sql; ctx bounds it. The connection
// must be idle.
func (s *Server) reset(ctx context.Context, sql string) error {
	stop := context.AfterFunc(ctx, func() { s.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := s.Write(wire.AppendQuery(nil, sql)); err != nil {
		return fmt.Errorf("send reset query: %w", err)
	}
	for {
		typ, msg, err := s.Next(maxLoginMessage)
		if err != nil {
			return fmt.Errorf("read answer to reset query: %w", err)
		}
		switch typ {
		case wire.ErrorResponse:
			return fmt.Errorf("reset query: %s", wire.ErrorField(msg[wire.HeaderSize:], 'M'))
		case wire.ParameterStatus:
			s.NoteParameter(msg[wire.HeaderSize:])
		case wire.ReadyForQuery:
			if len(msg) != wire.HeaderSize+1 || msg[wire.HeaderSize] != wire.TxIdle {
				return errors.New("reset query left a transaction open")
			}
			if !stop() {
				return context.Cause(ctx)
			}
			s.Discard(0)
			return nil
		}
	}
}

// Cancel asks the server to cancel what this connection runs, by a connection of
// its own, encrypted if this one is. When it returns nil the server has sent the signal. It may be
// called while another goroutine uses the connection.
func (s *Server) Cancel(ctx context.Context) error {
	tls := s.node.TLS
	if !s.encrypted {
		tls = nil
	}
	c, err := dial(ctx, s.node, tls)
	if err != nil {
		return fmt.Errorf("connect to cancel: %w", err)
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
	}
	msg, err := (&pgproto3.CancelRequest{ProcessID: s.PID, SecretKey: s.Secret}).Encode(nil)
	if err != nil {
		return fmt.Errorf("encode cancel request: %w", err)
	}
	if err := c.Write(msg); err != nil {
		return fmt.Errorf("send cancel request: %w", err)
	}
	// The server answers nothing; it closes the connection after the signal.
	c.Fill()
	return nil
}

// ClientError is the refusal as the client is told of it, in the server's own words.
func (e *Refused) ClientError() *wire.Error {
	body := e.Response[wire.HeaderSize:]
	return &wire.Error{Code: e.Code, Message: e.message,
		Detail: string(wire.ErrorField(body, 'D')), Hint: string(wire.ErrorField(body, 'H')), Err: fmt.Errorf("backend %s refused the login", e.Node)}
}
