package proxy_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/howdah/howdah/wire"
)

// fake is a server for what a real one will not do. It speaks enough of the
// protocol to be probed, logged in to, reset and asked simple things; a test's
// script may answer any message of a session's connection instead.
type fake struct {
	name    string
	standby bool
	l       net.Listener
	port    int
	script  atomic.Pointer[func(c *fakeConn, typ byte, body []byte) answer]
	// logins is called at the start of a session's connection instead of the usual welcome.
	logins  atomic.Pointer[func(c *fakeConn) answer]
	opened  atomic.Int64 // sessions' connections, ever
	open    atomic.Int64 // and now
	cancels atomic.Int64
	own     atomic.Bool // scripts see howdah's own questions too
	// tls is what it accepts TLS with; nil: it does not.
	tls *tls.Config
	// probes: a probe that connects waits until it is closed.
	probes atomic.Pointer[chan struct{}]
	// onCancel sees the process id of a cancel request before it is answered.
	onCancel atomic.Pointer[func(pid uint32)]

	mu    sync.Mutex
	conns map[net.Conn]bool // true for a session's
	done  sync.WaitGroup
}

// answer is what a script made of a message.
type answer int

const (
	pass   answer = iota // the fake answers as it always does
	done                 // the script has answered
	hangUp               // the connection is to be closed
	reset                // and so that the peer gets an error and not an end
)

// fakeConn is one connection to a fake.
type fakeConn struct {
	*wire.Conn
	fake     *fake
	pid      uint32
	status   byte
	failed   bool   // extended: until Sync
	unnamed  string // the unnamed statement's text
	portal   string // the unnamed portal's text
	bound    bool   // there is one
	startup  string
	out      []byte
	prepared map[string]string
}

func newFake(t testing.TB, name string, standby bool) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{name: name, standby: standby, l: l, port: l.Addr().(*net.TCPAddr).Port, conns: map[net.Conn]bool{}}
	f.done.Go(f.accept)
	t.Cleanup(f.close)
	return f
}

func (f *fake) close() {
	f.l.Close()
	f.cut()
	f.done.Wait()
}

// cut closes all connections.
func (f *fake) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Close()
	}
}

// cutSessions closes the sessions' connections with a last word each.
func (f *fake) cutSessions() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c, isSession := range f.conns {
		if isSession {
			c.Write(failure("FATAL", "57P01"))
			c.Close()
		}
	}
}

// cutProbes closes the probes' connections.
func (f *fake) cutProbes() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c, isSession := range f.conns {
		if !isSession {
			c.Close()
		}
	}
}

func (f *fake) accept() {
	for {
		nc, err := f.l.Accept()
		if err != nil {
			return
		}
		c := wire.NewConn(nc)
		f.mu.Lock()
		f.conns[c.NetConn()] = false
		f.mu.Unlock()
		f.done.Go(func() {
			defer func() {
				c.Close()
				f.mu.Lock()
				delete(f.conns, c.NetConn())
				f.mu.Unlock()
			}()
			f.serve(c)
		})
	}
}

// scripted sets the script for all connections from now on; nil is none.
func (f *fake) scripted(s func(c *fakeConn, typ byte, body []byte) answer) {
	if s == nil {
		f.script.Store(nil)
		return
	}
	f.script.Store(&s)
}

func (f *fake) serve(client *wire.Conn) {
	c := &fakeConn{Conn: client, fake: f, status: wire.TxIdle, prepared: map[string]string{}}
	for {
		if c.Need(8) != nil {
			return
		}
		head := c.Buffered()
		size, code := int(binary.BigEndian.Uint32(head)), binary.BigEndian.Uint32(head[4:])
		if c.Need(size) != nil {
			return
		}
		packet := string(c.Buffered()[8:size])
		c.Discard(size)
		switch code {
		case 80877103, 80877104:
			if code == 80877103 && f.tls != nil {
				if c.Write([]byte{'S'}); c.AcceptTLS(f.tls) != nil {
					return
				}
				continue
			}
			c.Write([]byte{'N'})
			continue
		case 80877102:
			if on := f.onCancel.Load(); on != nil {
				(*on)(binary.BigEndian.Uint32([]byte(packet)))
			}
			f.cancels.Add(1)
			return
		}
		c.startup = packet
		break
	}
	probe := strings.Contains(c.startup, "howdah probe")
	if gate := f.probes.Load(); probe && gate != nil {
		<-*gate
	}
	if !probe {
		f.mu.Lock()
		f.conns[c.NetConn()] = true
		f.mu.Unlock()
		c.pid = uint32(f.opened.Add(1))
		f.open.Add(1)
		defer f.open.Add(-1)
		if login := f.logins.Load(); login != nil {
			switch (*login)(c) {
			case hangUp:
				return
			case done:
				c.loop(probe)
				return
			}
		}
	}
	c.welcome()
	c.loop(probe)
}

// welcome is the usual end of a login.
func (c *fakeConn) welcome() {
	b := wire.AppendMessage(nil, wire.Authentication, "\x00\x00\x00\x00")
	for _, p := range []string{"server_version\x0015.0", "client_encoding\x00UTF8", "standard_conforming_strings\x00on"} {
		b = wire.AppendMessage(b, wire.ParameterStatus, p, "\x00")
	}
	b = wire.AppendHeader(b, wire.BackendKeyData, 8)
	b = binary.BigEndian.AppendUint32(b, c.pid)
	b = binary.BigEndian.AppendUint32(b, 4711)
	c.Write(wire.AppendReady(b, wire.TxIdle))
}

func (c *fakeConn) loop(probe bool) {
	for {
		typ, msg, err := c.Next(64 << 20)
		if err != nil || typ == wire.Terminate {
			return
		}
		body := msg[wire.HeaderSize:]
		if script := c.fake.script.Load(); script != nil && !probe && (c.fake.own.Load() || !isOwn(typ, body)) {
			switch (*script)(c, typ, body) {
			case done:
				continue
			case reset:
				raw, _ := c.NetConn().(syscall.Conn).SyscallConn()
				raw.Control(func(fd uintptr) {
					unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
				})
				return
			case hangUp:
				return
			}
		}
		c.answer(typ, body)
		if len(c.Buffered()) == 0 && len(c.out) > 0 {
			if c.Write(c.out) != nil {
				return
			}
			c.out = c.out[:0]
		}
	}
}

// isOwn reports howdah's own questions, which scripts need not care for.
func isOwn(typ byte, body []byte) bool {
	return typ == wire.Query && (bytes.HasPrefix(body, []byte("SELECT pg_catalog.current_setting")) || bytes.HasPrefix(body, []byte("DISCARD ALL")))
}

// answer answers one message as a server would.
func (c *fakeConn) answer(typ byte, body []byte) {
	if c.failed && typ != wire.Sync {
		return
	}
	b := c.out
	switch typ {
	case wire.Query:
		text, _, _ := wire.CString(body)
		b = c.run(b, string(text), true)
		c.bound = c.bound && c.status != wire.TxIdle
		b = wire.AppendReady(b, c.status)
	case wire.FunctionCall:
		b = wire.AppendMessage(b, wire.FunctionCallResponse, "\xff\xff\xff\xff")
		b = wire.AppendReady(b, c.status)
	case wire.Parse:
		name, rest, _ := wire.CString(body)
		text, _, _ := wire.CString(rest)
		if len(name) == 0 {
			if c.unnamed != string(text) {
				c.unnamed = string(text)
			}
		} else if c.prepared[string(name)] != "" {
			b = wire.AppendError(b, "ERROR", &wire.Error{Code: "42P05", Message: "prepared statement already exists"})
			c.failed = true
			break
		} else {
			c.prepared[string(name)] = string(text)
		}
		b = wire.AppendMessage(b, wire.ParseComplete)
	case wire.Bind:
		_, rest, _ := wire.CString(body)
		name, _, _ := wire.CString(rest)
		c.portal = c.unnamed
		if len(name) > 0 {
			if c.portal = c.prepared[string(name)]; c.portal == "" {
				b = wire.AppendError(b, "ERROR", &wire.Error{Code: "26000", Message: "prepared statement does not exist"})
				c.failed = true
				break
			}
		}
		c.bound = true
		b = wire.AppendMessage(b, wire.BindComplete)
	case wire.Describe:
		if bytes.HasPrefix(body, []byte{'S'}) {
			b = wire.AppendMessage(b, wire.ParameterDescription, "\x00\x00")
		}
		b = appendColumns(b, 1)
	case wire.Execute:
		if !c.bound {
			b = wire.AppendError(b, "ERROR", &wire.Error{Code: "34000", Message: "portal does not exist"})
			c.failed = true
			break
		}
		b = c.run(b, c.portal, false)
	case wire.Close:
		if name, ok := bytes.CutPrefix(body, []byte{'S'}); ok {
			delete(c.prepared, string(bytes.TrimSuffix(name, []byte{0})))
		}
		b = wire.AppendMessage(b, wire.CloseComplete)
	case wire.Sync:
		c.failed, c.bound = false, c.bound && c.status != wire.TxIdle
		b = wire.AppendReady(b, c.status)
	}
	c.out = b
}

// run answers a text; the answer of a plain SELECT is the fake's name.
func (c *fakeConn) run(b []byte, sql string, describe bool) []byte {
	columns := func(n int) {
		if describe {
			b = appendColumns(b, n)
		}
	}
	switch {
	case strings.HasPrefix(sql, "SELECT current_setting('server_version_num')"):
		columns(11)
		b = appendRow(b, "150000", "97", "16777216", "8192", "t", "f", "t", "f", "f", "f", "f")
	case strings.HasPrefix(sql, "SELECT current_setting('synchronous_standby_names')"):
		columns(4)
		b = appendRow(b, "", "", c.fake.name, "")
	case strings.HasPrefix(sql, "SELECT coalesce(substring("):
		columns(4)
		b = appendRow(b, c.fake.name, "f", "f", "f")
	case strings.HasPrefix(sql, "SELECT system_identifier"):
		columns(1)
		b = appendRow(b, "7000000000000000001")
	case strings.HasPrefix(sql, "SELECT s.standby"):
		b = appendRow(b, map[bool]string{true: "t", false: "f"}[c.fake.standby], "0/3000060", "1", "0/3000060",
			map[bool]string{true: "streaming"}[c.fake.standby], "")
	case strings.HasPrefix(sql, "SELECT pg_catalog.current_setting"):
		columns(2)
		b = appendRow(b, "read committed", "off")
	case strings.HasPrefix(sql, "SELECT"):
		columns(1)
		b = appendRow(b, c.fake.name)
	case strings.HasPrefix(sql, "BEGIN"):
		c.status = wire.TxOpen
		return wire.AppendMessage(b, wire.CommandComplete, "BEGIN\x00")
	case sql == "COMMIT", sql == "ROLLBACK":
		c.status = wire.TxIdle
		return wire.AppendMessage(b, wire.CommandComplete, sql, "\x00")
	default:
		if sql == "DISCARD ALL" {
			clear(c.prepared)
		}
		word, _, _ := strings.Cut(sql, " ")
		return wire.AppendMessage(b, wire.CommandComplete, word, "\x00")
	}
	return wire.AppendMessage(b, wire.CommandComplete, "SELECT 1\x00")
}

const column = "c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19\xff\xff\xff\xff\xff\xff\x00\x00"

func appendColumns(b []byte, n int) []byte {
	return wire.AppendMessage(b, wire.RowDescription, string([]byte{0, byte(n)}), columnsOf[n])
}

var columnsOf = func() (all [12]string) {
	for i := range all {
		all[i] = strings.Repeat(column, i)
	}
	return all
}()

func appendRow(b []byte, values ...string) []byte {
	size := 2
	for _, v := range values {
		size += 4 + len(v)
	}
	b = wire.AppendHeader(b, wire.DataRow, size)
	b = binary.BigEndian.AppendUint16(b, uint16(len(values)))
	for _, v := range values {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return b
}

// client is a raw client of howdah.
type client struct {
	t testing.TB
	*wire.Conn
	nc net.Conn
}

// noDeadline ends a deadline.
var noDeadline time.Time

// patience bounds every wait for an answer; it is no part of what is tested.
const patience = 10 * time.Second

func dial(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, nc)
}

func newClient(t testing.TB, nc net.Conn) *client {
	c := wire.NewConn(nc)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &client{t: t, Conn: c, nc: c.NetConn()}
}

// startupPacket is a StartupMessage.
func startupPacket(params ...string) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint32(b[4:], 3<<16)
	for _, p := range params {
		b = append(append(b, p...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func connectAs(t testing.TB, addr, user string, params ...string) *client {
	t.Helper()
	c := dial(t, addr)
	c.login(user, params...)
	return c
}

func (c *client) login(user string, params ...string) {
	c.t.Helper()
	c.send(startupPacket(append([]string{"user", user, "database", "d"}, params...)...))
	if got := c.answer(); !strings.HasSuffix(got, "Z(I)") {
		c.t.Fatalf("login: %s", got)
	}
}

// readAll reads until the connection ends.
func (c *client) readAll() (all []byte, err error) {
	for err == nil {
		all = append(all, c.Buffered()...)
		c.Discard(len(c.Buffered()))
		err = c.Fill()
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, err
}

func (c *client) send(b []byte) {
	c.t.Helper()
	c.nc.SetDeadline(time.Now().Add(patience))
	if err := c.Write(b); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// query runs a simple query and returns the answer as text.
func (c *client) query(sql string) string {
	c.t.Helper()
	c.send(wire.AppendQuery(nil, sql))
	return c.answer()
}

// goFast has the session read often enough that the next read need not be planned.
func (c *client) goFast(sql string) {
	c.t.Helper()
	before := c.fastReads()
	for end := time.Now().Add(patience); c.fastReads() == before; {
		if time.Now().After(end) {
			c.t.Fatal("no read went the fast way")
		}
		for range 3 {
			c.query(sql)
		}
	}
	for range 2 {
		c.query(sql)
	}
}

// fastReads is how many reads were not planned, of all sessions.
func (c *client) fastReads() int {
	c.t.Helper()
	got := c.query("SHOW howdah.stats")
	_, count, ok := strings.Cut(got, "D(fast_reads\x00\x00\x00")
	if !ok {
		c.t.Fatalf("stats: %q", got)
	}
	count, _, _ = strings.Cut(count[1:], ")") // its length goes before
	n, err := strconv.Atoi(count)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// answer reads up to ReadyForQuery or the end of the stream, and returns the
// messages as text: types, and of some their contents; "EOF" is an end between
// messages, "cut" one within.
func (c *client) answer() string {
	c.t.Helper()
	var out []string
	for {
		typ, msg, err := c.Next(64 << 20)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return strings.Join(append(out, "cut"), " ")
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !isReset(err) {
				c.t.Fatalf("after %s: %v", strings.Join(out, " "), err)
			}
			return strings.Join(append(out, "EOF"), " ")
		}
		out = append(out, show(typ, msg[wire.HeaderSize:]))
		if typ == wire.ReadyForQuery {
			return strings.Join(out, " ")
		}
	}
}

func isReset(err error) bool { return strings.Contains(err.Error(), "connection reset") }

// show is a message in short.
func show(typ byte, body []byte) string {
	text := ""
	switch typ {
	case wire.ErrorResponse, wire.NoticeResponse:
		text = string(wire.ErrorField(body, 'S')) + " " + string(wire.ErrorField(body, 'C'))
	case wire.ReadyForQuery:
		text = string(body)
	case wire.CommandComplete:
		text = string(bytes.TrimSuffix(body, []byte{0}))
	case wire.ParameterStatus:
		text = string(bytes.ReplaceAll(bytes.TrimSuffix(body, []byte{0}), []byte{0}, []byte{'='}))
	case wire.DataRow:
		if len(body) > 100 {
			text = "long"
		} else if len(body) > 6 {
			text = string(body[6:])
		}
	case wire.NotificationResponse:
		text = string(bytes.TrimRight(body[4:], "\x00"))
	}
	if text == "" {
		return string(typ)
	}
	return string(typ) + "(" + text + ")"
}
