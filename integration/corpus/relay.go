package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/parser"
)

// maxFrame bounds a message of psql or of the server; the suite has rows of some megabytes.
const maxFrame = 1 << 29

// relay stands between psql and the primary, or the howdah in front of it. It shows
// every text that psql sends to a trier before it passes it on.
type relay struct {
	cluster *pgcluster.Cluster
	// upstream is where psql's messages go, as host:port; howdah is whether that is a howdah.
	upstream string
	howdah   bool
	// builtin are the names of PostgreSQL's own functions.
	builtin  map[string]bool
	listener net.Listener

	sessions sync.WaitGroup

	mu     sync.Mutex
	file   string
	labels []label
	counts counts
	errs   []error
}

// counts are the texts that got no label, and why.
type counts struct {
	// Texts are all that psql sent. Session are those that only change the
	// session, Failed those in a failed transaction, Untried those that could not be tried
	// or may write unrefused, Context those that mean something in their session only.
	Texts, Session, Failed, Untried, Context int
}

// newRelay passes on to the howdah at an address, or if that is empty to the primary itself.
func newRelay(ctx context.Context, cluster *pgcluster.Cluster, howdah string) (*relay, error) {
	builtin, err := builtinFunctions(ctx, cluster)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	r := &relay{cluster: cluster, builtin: builtin, listener: l, upstream: howdah, howdah: howdah != ""}
	if !r.howdah {
		r.upstream = fmt.Sprintf("127.0.0.1:%d", cluster.Port(0))
	}
	return r, nil
}

func (r *relay) port() int { return r.listener.Addr().(*net.TCPAddr).Port }

// serve accepts until the listener is closed, and returns when all sessions have ended.
func (r *relay) serve(ctx context.Context) {
	defer r.sessions.Wait()
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.sessions.Go(func() {
			err := r.session(ctx, client)
			r.mu.Lock()
			defer r.mu.Unlock()
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				r.errs = append(r.errs, fmt.Errorf("%s: %w", r.file, err))
			}
		})
	}
}

// script names the script whose texts come from now on.
func (r *relay) script(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.file = name
}

// take hands over the labels found since it was last called.
func (r *relay) take() ([]label, counts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	labels := r.labels
	r.labels = nil
	return labels, r.counts, errors.Join(r.errs...)
}

// startup reads psql's first messages and refuses encryption.
func startup(client net.Conn) (*pgproto3.StartupMessage, error) {
	backend := pgproto3.NewBackend(client, client)
	for {
		message, err := backend.ReceiveStartupMessage()
		if err != nil {
			return nil, fmt.Errorf("read startup: %w", err)
		}
		switch m := message.(type) {
		case *pgproto3.StartupMessage:
			return m, nil
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := client.Write([]byte{'N'}); err != nil {
				return nil, fmt.Errorf("refuse encryption: %w", err)
			}
		default:
			return nil, io.EOF // a cancel request: psql was told to stop
		}
	}
}

// session serves one connection of psql.
func (r *relay) session(ctx context.Context, client net.Conn) error {
	defer client.Close() //nolint:errcheck // nothing depends on it
	start, err := startup(client)
	if err != nil {
		return err
	}
	server, err := net.Dial("tcp4", r.upstream)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", r.upstream, err)
	}
	defer server.Close() //nolint:errcheck // nothing depends on it
	first, err := start.Encode(nil)
	if err != nil {
		return fmt.Errorf("encode startup: %w", err)
	}
	if _, err := server.Write(first); err != nil {
		return fmt.Errorf("send startup: %w", err)
	}
	t, err := newTrier(ctx, r.cluster, start.Parameters)
	if err != nil {
		return err
	}
	defer t.close() //nolint:errcheck // nothing depends on it
	w := &watcher{relay: r, trier: t, answered: make(chan *answer, 1), ended: make(chan struct{})}
	answers := make(chan error, 1)
	go func() { // ends when either side closes, which session's return sees to
		err := w.answers(server, client)
		close(w.answered)
		_ = client.Close() // wakes texts
		answers <- err
	}()
	err = w.texts(ctx, client, server)
	close(w.ended)
	_ = server.Close()
	return errors.Join(err, ignoreClosed(<-answers))
}

func ignoreClosed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// watcher follows one connection of psql.
type watcher struct {
	relay *relay
	trier *trier
	// answered gets the outcome of every text, the login's first.
	answered chan *answer
	// asking: what comes next answers a question of our own.
	asking atomic.Bool
	// ended: texts has returned, and nobody takes outcomes any more.
	ended chan struct{}
	// pending are texts that change settings when the open transaction commits.
	pending []string
}

// texts passes psql's messages on, trying each Query first. One text is
// answered before the next is sent: psql does not pipeline.
func (w *watcher) texts(ctx context.Context, client, server net.Conn) error {
	in := bufio.NewReader(client)
	last, ok := <-w.answered
	if !ok {
		return io.EOF
	}
	for {
		frame, err := readFrame(in)
		if err != nil {
			return err
		}
		if frame[0] != 'Q' {
			if _, err := server.Write(frame); err != nil {
				return fmt.Errorf("pass on: %w", err)
			}
			if frame[0] == 'F' || frame[0] == 'S' { // large objects, \gdesc
				if last, ok = <-w.answered; !ok {
					return io.EOF
				}
			}
			continue
		}
		sql := string(frame[5 : len(frame)-1])
		v := parser.Classify(sql)
		l, twin, err := w.tryText(ctx, sql, v, last.status)
		if err != nil {
			return err
		}
		if l != nil && w.relay.howdah {
			if l.Named, err = w.ask(server, sql); err != nil {
				return err
			}
		}
		if _, err := server.Write(frame); err != nil {
			return fmt.Errorf("pass on: %w", err)
		}
		// COPY FROM STDIN: the client has to send before the answer is complete.
		if last, ok = w.waitAnswer(in, server); !ok {
			return io.EOF
		}
		w.keep(l, v, twin, last)
		if err := w.follow(sql, v, last); err != nil {
			return err
		}
	}
}

// waitAnswer passes copy data on until the text is answered.
func (w *watcher) waitAnswer(in *bufio.Reader, server net.Conn) (*answer, bool) {
	for {
		o, ok := <-w.answered
		if !ok || o.status != 'G' {
			return o, ok
		}
		for {
			frame, err := readFrame(in)
			if err != nil {
				return nil, false
			}
			if _, err := server.Write(frame); err != nil {
				return nil, false
			}
			if frame[0] == 'c' || frame[0] == 'f' {
				break
			}
		}
	}
}

func (w *watcher) tryText(ctx context.Context, sql string, v *parser.Verdict, status byte) (*label, *answer, error) {
	count := func(counter *int) {
		w.relay.mu.Lock()
		defer w.relay.mu.Unlock()
		*counter++
	}
	count(&w.relay.counts.Texts)
	switch {
	case status == 'E':
		count(&w.relay.counts.Failed)
		return nil, nil, nil
	case effectOf(sql) == changesSession:
		count(&w.relay.counts.Session)
		return nil, nil, nil
	}
	l, twin, err := w.trier.try(ctx, sql, v)
	if l == nil {
		count(&w.relay.counts.Untried)
	}
	return l, twin, err
}

// keep takes a label in, unless the text meant something else in the psql session than
// in the trial sessions: it read a temporary table there, or what its block had written.
func (w *watcher) keep(l *label, v *parser.Verdict, twin, own *answer) {
	if l == nil {
		return
	}
	w.relay.mu.Lock()
	defer w.relay.mu.Unlock()
	if twin != nil && !sameMeaning(twin, own, inOrder(l.SQL), l.Label == labelEqual && !l.Unstable) {
		w.relay.counts.Context++
		return
	}
	l.File, l.Own = w.relay.file, ownFunctions(v, w.relay.builtin)
	w.relay.labels = append(w.relay.labels, *l)
}

// follow repeats in the trial sessions what changed the session's settings.
func (w *watcher) follow(sql string, v *parser.Verdict, o *answer) error {
	if setsSetting(v) && o.code == "" {
		w.pending = append(w.pending, sql)
	}
	if o.status != 'I' {
		return nil
	}
	pending := w.pending
	w.pending = nil
	if n := len(o.results); n > 0 && o.results[n-1].tag == "ROLLBACK" {
		return nil
	}
	for _, sql := range pending {
		if err := w.trier.set(sql); err != nil {
			return err
		}
	}
	return nil
}

// answers passes the primary's messages on and tells texts of every end.
func (w *watcher) answers(server, client net.Conn) error {
	in := bufio.NewReader(server)
	a := &answer{}
	for {
		frame, err := readFrame(in)
		if err != nil {
			return err
		}
		if !w.asking.Load() {
			if _, err := client.Write(frame); err != nil {
				return fmt.Errorf("pass on: %w", err)
			}
		}
		m, err := messageOf(frame)
		if err != nil {
			return err
		}
		if m != nil {
			a.take(m)
		}
		switch frame[0] {
		case 'G':
			w.tell(&answer{status: 'G'})
		case 'Z':
			w.tell(a)
			a = &answer{}
		}
	}
}

func (w *watcher) tell(a *answer) {
	select {
	case w.answered <- a:
	case <-w.ended:
	}
}

// readFrame reads one message, its type and length included.
func readFrame(in *bufio.Reader) ([]byte, error) {
	head, err := in.Peek(5)
	if err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint32(head[1:]))
	if length < 4 || length > maxFrame {
		return nil, fmt.Errorf("message %q of %d bytes", head[0], length)
	}
	frame := make([]byte, 1+length)
	if _, err := io.ReadFull(in, frame); err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	return frame, nil
}
