package logs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// burst is how many lines with the same message pass in one interval.
	burst = 20
	// maxMessages bounds the messages that are counted; one more begins the count anew for all.
	maxMessages = 1000
)

// Always marks a line that is never counted as a repeat: what was asked for line by line, as statements and
// the audit of operators' commands are. It is not written.
var Always = slog.Attr{Key: alwaysKey, Value: slog.BoolValue(true)}

const alwaysKey = "\x00always"

// repeats lets burst lines of warnings and notes with the same level and message pass in an interval. When the
// message comes again after it, that line says how many were left out (as "repeated").
type repeats struct {
	slog.Handler
	shared *counts
}

type counts struct {
	interval time.Duration
	now      func() time.Time
	mu       sync.Mutex
	of       map[said]*count
}

type said struct {
	level   slog.Level
	message string
}

type count struct {
	since      time.Time
	n, skipped int
}

// newRepeats wraps h; with an interval of 0 all lines pass.
func newRepeats(h slog.Handler, interval time.Duration, now func() time.Time) slog.Handler {
	return &repeats{h, &counts{interval: interval, now: now, of: map[said]*count{}}}
}

func (r *repeats) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &repeats{&later{from: r.Handler, attrs: attrs}, r.shared}
}

func (r *repeats) WithGroup(name string) slog.Handler {
	return &repeats{r.Handler.WithGroup(name), r.shared}
}

func (r *repeats) Handle(ctx context.Context, record slog.Record) error {
	always := false
	record.Attrs(func(a slog.Attr) bool {
		always = a.Key == alwaysKey
		return !always
	})
	if always {
		plain := slog.NewRecord(record.Time, record.Level, record.Message, record.PC)
		record.Attrs(func(a slog.Attr) bool {
			if a.Key != alwaysKey {
				plain.AddAttrs(a)
			}
			return true
		})
		return r.Handler.Handle(ctx, plain)
	}
	if r.shared.interval == 0 || record.Level < slog.LevelInfo {
		return r.Handler.Handle(ctx, record)
	}
	pass, skipped := r.shared.pass(said{record.Level, record.Message})
	if !pass {
		return nil
	}
	if skipped > 0 {
		record = record.Clone()
		record.AddAttrs(slog.Int("repeated", skipped))
	}
	return r.Handler.Handle(ctx, record)
}

// pass says whether a line is written, and how many before it were not.
func (c *counts) pass(key said) (pass bool, skipped int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	n := c.of[key]
	switch {
	case n == nil && len(c.of) >= maxMessages:
		clear(c.of)
		fallthrough
	case n == nil:
		c.of[key] = &count{since: now, n: 1}
		return true, 0
	case now.Sub(n.since) >= c.interval:
		skipped = n.skipped
		*n = count{since: now, n: 1}
		return true, skipped
	case n.n < burst:
		n.n++
		return true, 0
	}
	n.skipped++
	return false, 0
}
