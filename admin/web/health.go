package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/howdah/howdah/cluster"
)

// health answers 200 or 503, and why.
func health(w http.ResponseWriter, ok bool, why string) {
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, why)
}

// healthz: the process works. It is no reason to restart howdah that servers are down.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) { health(w, true, "ok") }

// readyz: it makes sense to send clients here.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.Admin.State.Counts().Stopping {
		health(w, false, "stopping")
		return
	}
	up := 0
	v := s.Admin.State.View()
	for i := range v.Nodes {
		if v.Nodes[i].State == cluster.StateUp {
			up++
		}
	}
	health(w, up > 0, fmt.Sprintf("%d of %d nodes are up", up, len(v.Nodes)))
}

// primary: there is one to write to.
func (s *Server) primary(w http.ResponseWriter, _ *http.Request) {
	v := s.Admin.State.View()
	n := v.Node(v.Primary)
	switch {
	case s.Admin.State.Counts().Stopping:
		health(w, false, "stopping")
	case n == nil:
		health(w, false, "no primary")
	default:
		health(w, true, n.Name)
	}
}

// replica: there is a standby to read from that is at most lag bytes (10MB, 64kB, 1048576) behind, if lag is given.
func (s *Server) replica(w http.ResponseWriter, r *http.Request) {
	most := int64(-1)
	if text := r.URL.Query().Get("lag"); text != "" {
		var ok bool
		if most, ok = parseBytes(text); !ok {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintln(w, "lag is no number of bytes, as in 1048576 or 10MB")
			return
		}
	}
	if s.Admin.State.Counts().Stopping {
		health(w, false, "stopping")
		return
	}
	v := s.Admin.State.View()
	var good []string
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if n.State == cluster.StateUp && n.Role == cluster.RoleStandby && n.Lagging == "" &&
			(most < 0 || n.Behind.Known && n.Behind.Bytes <= uint64(most)) {
			good = append(good, n.Name)
		}
	}
	if len(good) == 0 {
		health(w, false, "no such standby")
		return
	}
	health(w, true, strings.Join(good, " "))
}

// leader: this howdah leads the watchdog, or there is none and it stands alone.
func (s *Server) leader(w http.ResponseWriter, _ *http.Request) {
	watch, err := s.Admin.Watchdog()
	switch {
	case s.Admin.State.Counts().Stopping:
		health(w, false, "stopping")
	case err != nil:
		health(w, true, "alone")
	case watch.Leader == "":
		health(w, false, "no leader")
	default:
		health(w, len(watch.Members) > 0 && watch.Leader == watch.Members[0].Name, watch.Leader)
	}
}

// parseBytes reads a number of bytes with Patroni's and PostgreSQL's units.
func parseBytes(text string) (int64, bool) {
	digits := strings.TrimRight(text, "kKMGTB")
	factor, ok := map[string]int64{"": 1, "B": 1, "kB": 1 << 10, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 0 || n > (1<<62)/factor {
		return 0, false
	}
	return n * factor, true
}
