package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"log/syslog"
	"time"

	"github.com/howdah/howdah/configs"
)

// Logger is what New makes. Close writes what is still under way; then there may be no more lines.
type Logger struct {
	*slog.Logger
	Level *slog.LevelVar
	queue *queue
	file  *file
}

// ErrNoFile is that of Reopen without log.destination: file.
var ErrNoFile = errors.New("howdah writes no file of its own: log.destination is not file")

// New makes a logger. Lines go to stderr, to syslog or to a file; the error is a syslog that cannot be
// reached, or a file that cannot be written.
func New(c configs.Log, stderr io.Writer) (*Logger, error) {
	l := &Logger{Level: &slog.LevelVar{}}
	l.Level.Set(Level(c.Level))
	var h slog.Handler
	switch c.Destination {
	case "syslog":
		w, err := syslog.Dial(c.Syslog.Network, c.Syslog.Address, facilities[c.Syslog.Facility], c.Syslog.Ident)
		if err != nil {
			return nil, fmt.Errorf("log.destination is syslog: %w", err)
		}
		l.queue = newQueue(func(level slog.Level, line []byte) { toSyslog(w, level, line) }, func() { w.Close() })
		h = newQueueHandler(l.queue, c.Format, l.Level, false)
	case "file":
		f, err := openFile(c.File, fs.FileMode(c.FileMode))
		if err != nil {
			return nil, err
		}
		l.file = f
		h = newHandler(f, c.Format, l.Level, nil)
	default:
		h = newHandler(stderr, c.Format, l.Level, nil)
	}
	l.Logger = slog.New(newRepeats(h, c.RepeatInterval, time.Now))
	return l, nil
}

// Reopen goes on in a new file, after somebody renamed the one that is open. If that fails, the old one is kept.
func (l *Logger) Reopen() error {
	if l.file == nil {
		return ErrNoFile
	}
	return l.file.reopen()
}

// Close writes what is queued. A Logger of standard error has nothing to close.
func (l *Logger) Close() {
	if l.file != nil {
		l.file.close()
	}
	if l.queue != nil {
		l.queue.close()
	}
}

// Level is the slog.Level of a valid log.level.
func Level(name string) slog.Level {
	var l slog.Level
	l.UnmarshalText([]byte(name)) //nolint:errcheck // Validate has checked it; the zero level is info
	return l
}

func newHandler(w io.Writer, format string, level slog.Leveler, replace func([]string, slog.Attr) slog.Attr) slog.Handler {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: replace}
	if format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}
