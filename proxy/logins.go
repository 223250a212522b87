package proxy

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/howdah/howdah/logs"
)

const (
	// lookupTimeout bounds how long the line of a login waits for the client's name.
	lookupTimeout = 2 * time.Second
	// maxLookups is how many do at a time; one more is logged by its address.
	maxLookups = 16
)

// mayLookUp begins a lookup, if there are not too many.
func (srv *Server) mayLookUp() bool {
	if srv.lookups.Add(1) > maxLookups {
		srv.lookups.Add(-1)
		return false
	}
	return true
}

// loggedAddr is an address that becomes text when it is logged.
type loggedAddr struct{ net.Addr }

func (a loggedAddr) LogValue() slog.Value { return slog.StringValue(a.String()) }

// logLogin writes that a client has logged in, as log.connections asks for.
func (s *session) logLogin(req *startupRequest, method string) {
	set, level := s.set, slog.LevelDebug
	if set.log.Connections {
		level = slog.LevelInfo
	}
	log, srv := s.log, s.srv
	if !log.Enabled(context.Background(), level) {
		return
	}
	attrs := []any{"method", method, "application_name", req.application, logs.Always}
	tcp, ok := req.from.(*net.TCPAddr)
	if !ok || !set.log.Hostname || !srv.mayLookUp() {
		log.Log(context.Background(), level, "client logged in", attrs...)
		return
	}
	go func() { // ends with lookupTimeout
		defer srv.lookups.Add(-1)
		ctx, cancel := context.WithTimeout(srv.context, lookupTimeout)
		defer cancel()
		name := ""
		if names, err := net.DefaultResolver.LookupAddr(ctx, tcp.IP.String()); err == nil && len(names) > 0 {
			name = strings.TrimSuffix(names[0], ".")
		}
		log.Log(ctx, level, "client logged in", append(attrs, "hostname", name)...)
	}()
}
