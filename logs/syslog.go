package logs

import (
	"log/slog"
	"log/syslog"
)

// facilities are those of log.syslog.facility (RFC 5424, section 6.2.1).
var facilities = map[string]syslog.Priority{
	"user": syslog.LOG_USER, "daemon": syslog.LOG_DAEMON,
	"local0": syslog.LOG_LOCAL0, "local1": syslog.LOG_LOCAL1, "local2": syslog.LOG_LOCAL2, "local3": syslog.LOG_LOCAL3,
	"local4": syslog.LOG_LOCAL4, "local5": syslog.LOG_LOCAL5, "local6": syslog.LOG_LOCAL6, "local7": syslog.LOG_LOCAL7,
}

// toSyslog writes a line with the severity of its level. A daemon that is away is dialed again with
// the next line; the line is lost.
func toSyslog(w *syslog.Writer, level slog.Level, text []byte) {
	write := w.Debug
	switch {
	case level >= slog.LevelError:
		write = w.Err
	case level >= slog.LevelWarn:
		write = w.Warning
	case level >= slog.LevelInfo:
		write = w.Info
	}
	write(string(text)) //nolint:errcheck // nobody is left to tell
}
