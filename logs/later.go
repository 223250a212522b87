package logs

import (
	"context"
	"log/slog"
	"sync"
)

// later is a handler with further attributes, which are formatted for the first line: each client has a logger of
// its own, and few of them ever write.
type later struct {
	from  slog.Handler
	attrs []slog.Attr

	once sync.Once
	made slog.Handler
}

func (l *later) handler() slog.Handler {
	l.once.Do(func() {
		from := l.from
		if before, ok := from.(*later); ok {
			from = before.handler()
		}
		l.made = from.WithAttrs(l.attrs)
	})
	return l.made
}

func (l *later) Enabled(ctx context.Context, level slog.Level) bool {
	return l.from.Enabled(ctx, level)
}
func (l *later) Handle(ctx context.Context, r slog.Record) error { return l.handler().Handle(ctx, r) }
func (l *later) WithAttrs(attrs []slog.Attr) slog.Handler        { return &later{from: l, attrs: attrs} }
func (l *later) WithGroup(name string) slog.Handler              { return l.handler().WithGroup(name) }
