package vip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// GuardianCommand is the argument that makes howdah a guardian. It is not for people:
	// a howdah starts it, with a socket as file 3.
	GuardianCommand = "vip-guardian"
	// guardianFile is that socket.
	guardianFile = 3
	// helloTimeout bounds the wait for the first message.
	helloTimeout = 10 * time.Second
	// guardianOOMScore makes the kernel's choice of a victim fall on others (proc(5)).
	guardianOOMScore = "-900"
	// logQueue is how many lines may wait for a slow log; more are lost. The guardian
	// must not hang because its log does.
	logQueue = 256
	// deathWait bounds the wait for the end of a howdah that has closed its socket, and executionTimeout that for its will.
	deathWait, executionTimeout = 500 * time.Millisecond, 5 * time.Second
)

// Executor does what a will says (Manager.Will). It gets one when the process that left it is dead and the addresses are off this
// host. It must end soon after ctx does.
type Executor func(ctx context.Context, will []byte, log *slog.Logger) error

// RunGuardian is the whole life of a guardian: it holds the addresses as long as the
// howdah that started it lives and renews, and takes them off before it returns. If that howdah died with a will, execute then gets
// it. The error is why the addresses could not be taken off, or the will not be executed.
func RunGuardian(stderr io.Writer, execute Executor) error {
	protect()
	// Before the first message: who sends it is the parent then, or the guardian knows of its end.
	parent, err := watchParent()
	if err != nil {
		return err
	}
	defer parent.close()
	ch, err := channelOf(os.NewFile(guardianFile, "howdah"))
	if err != nil {
		return err
	}
	defer ch.close()
	buf := make([]byte, maxMessage)
	var m toGuardian
	if err := ch.conn.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return fmt.Errorf("wait for hello: %w", err)
	}
	if err := ch.receive(buf, &m); err != nil {
		return fmt.Errorf("wait for hello: %w", err)
	}
	if err := ch.conn.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("wait for hello: %w", err)
	}
	if m.Hello == nil {
		return errors.New("wait for hello: another message came")
	}
	lines, flush := queueLines(stderr)
	defer flush()
	log := newLogger(m.Hello.Log, lines).With("process", "vip-guardian")
	return guard(ch, buf, *m.Hello, log, func(will []byte) error {
		if err := parent.awaitEnd(deathWait); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), executionTimeout)
		defer cancel()
		return execute(ctx, will, log)
	})
}

// guard runs the engine until howdah is gone, and then execute, if howdah left a will and held the addresses.
func guard(ch *channel, buf []byte, h hello, log *slog.Logger, execute func(will []byte) error) error {
	e, err := newEngine(h.VIP, log, func(s State) {
		s.Process = os.Getpid()
		_ = ch.send(fromGuardian{s}) // whoever does not read it has other troubles
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var reader sync.WaitGroup
	last := lastWords{holder: h.Order.Holder, will: h.Will}
	reader.Go(func() { cancel(readOrders(ctx, ch, buf, e, &last)) })
	log.Info("guardian started", "mode", h.VIP.Mode, "addresses", h.VIP.Addresses, "parent", os.Getppid())
	err = e.run(ctx, h.Order)
	log.Info("guardian ends", "because", context.Cause(ctx), "state", e.state().describe(), "error", err)
	ch.close()
	reader.Wait()
	if err == nil && errors.Is(context.Cause(ctx), errGone) && last.holder && len(last.will) > 0 {
		if err = execute(last.will); err != nil {
			log.Warn("nobody was told that howdah is dead; the others will notice", "error", err)
		}
	}
	return err
}

// lastWords are what howdah said last. Who gave the addresses up in order needs no will.
type lastWords struct {
	holder bool
	will   []byte
}

// readOrders hands messages to the engine until the channel ends, and says why.
func readOrders(ctx context.Context, ch *channel, buf []byte, e *engine, last *lastWords) error {
	var clients []Connection
	for {
		var m toGuardian
		if err := ch.receive(buf, &m); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
				err = errGone
			}
			return err
		}
		switch {
		case m.Will != nil:
			last.will = *m.Will
		case m.Order != nil:
			last.holder = m.Order.Holder
			select {
			case e.orders <- *m.Order:
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			if m.First {
				clients = nil
			}
			if len(clients) < maxClients {
				clients = append(clients, m.Clients...)
			}
			if !m.Last {
				continue
			}
			select {
			case e.clients <- clients:
			case <-ctx.Done():
				return ctx.Err()
			}
			clients = nil
		}
	}
}

// protect makes it unlikely that the guardian ends before the address is off; that it
// leads a session of its own is its parent's doing. What fails here only makes it a
// little less unlikely.
func protect() {
	// A service manager or a terminal signals howdah and the guardian alike; it ends when
	// howdah has ended.
	signal.Ignore(syscall.SIGHUP, syscall.SIGABRT, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte(guardianOOMScore), 0)
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // no core dump, no debugger of the same user
	lockMemory()
	// The least that runs Go well: it must be small and quick, not fast.
	runtime.GOMAXPROCS(2)
}

// lockMemory keeps what the guardian uses from being swapped out, if there is no limit
// to it: with one, a later allocation could fail.
func lockMemory() {
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unlimited)
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur == unix.RLIM_INFINITY {
		_ = unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	}
}

// queueLines is a writer that never waits, and a function that waits a moment for what
// is left.
func queueLines(w io.Writer) (io.Writer, func()) {
	q := &lineQueue{lines: make(chan []byte, logQueue), ended: make(chan struct{})}
	go func() { // flush waits for it, for a while
		defer close(q.ended)
		for line := range q.lines {
			_, _ = w.Write(line)
		}
	}()
	return q, func() {
		close(q.lines)
		select {
		case <-q.ended:
		case <-time.After(time.Second):
		}
	}
}

type lineQueue struct {
	lines chan []byte
	ended chan struct{}
}

func (q *lineQueue) Write(line []byte) (int, error) {
	select {
	case q.lines <- append([]byte(nil), line...):
	default: // the log is stuck
	}
	return len(line), nil
}
