package logs

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
)

// maxQueued is how many lines wait for a slow reader; more are dropped, and counted.
const maxQueued = 10_000

// line is one that is to be written.
type line struct {
	level slog.Level
	text  []byte
}

// queue writes lines in a goroutine of its own.
type queue struct {
	lines chan line
	done  chan struct{}

	mu      sync.Mutex
	closed  bool
	dropped int
}

func newQueue(write func(slog.Level, []byte), end func()) *queue {
	q := &queue{lines: make(chan line, maxQueued), done: make(chan struct{})}
	go func() { // ends with close
		defer close(q.done)
		for l := range q.lines {
			write(l.level, l.text)
		}
		end()
	}()
	return q
}

// put never waits.
func (q *queue) put(l line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if q.dropped > 0 && len(q.lines) < maxQueued/2 {
		select {
		case q.lines <- line{slog.LevelWarn, []byte(`msg="lines were lost: the reader of the log is too slow" lines=` + slog.IntValue(q.dropped).String())}:
			q.dropped = 0
		default:
		}
	}
	select {
	case q.lines <- l:
	default:
		q.dropped++
	}
}

func (q *queue) close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.lines)
	}
	q.mu.Unlock()
	<-q.done
}

// queueHandler formats lines and queues them.
type queueHandler struct {
	queue  *queue
	shared *buffer
	format slog.Handler // writes to shared
}

// buffer is where a line is formatted.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

// newQueueHandler formats lines without their time and level, which syslog adds, if not timed.
func newQueueHandler(q *queue, format string, level slog.Leveler, timed bool) slog.Handler {
	b := &buffer{}
	var replace func([]string, slog.Attr) slog.Attr
	if !timed {
		replace = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
				return slog.Attr{}
			}
			return a
		}
	}
	return &queueHandler{q, b, newHandler(b, format, level, replace)}
}

func (h *queueHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.format.Enabled(ctx, level)
}

func (h *queueHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &queueHandler{h.queue, h.shared, h.format.WithAttrs(attrs)}
}

func (h *queueHandler) WithGroup(name string) slog.Handler {
	return &queueHandler{h.queue, h.shared, h.format.WithGroup(name)}
}

func (h *queueHandler) Handle(ctx context.Context, record slog.Record) error {
	h.shared.mu.Lock()
	h.shared.Reset()
	err := h.format.Handle(ctx, record)
	text := bytes.TrimRight(bytes.Clone(h.shared.Bytes()), "\n")
	h.shared.mu.Unlock()
	if err == nil {
		h.queue.put(line{record.Level, text})
	}
	return err
}
