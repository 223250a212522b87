package web

import (
	"net/http"
	"net/http/pprof"

	"github.com/howdah/howdah/admin"
)

// profiles are what Go's runtime tells of itself under /debug/pprof/ (net/http/pprof), which `go tool pprof` reads. None of them
// holds statements, parameters or secrets; those that show memory's content or the command line are left out.
var profiles = map[string]http.Handler{
	"profile":      http.HandlerFunc(pprof.Profile), // ?seconds=30, at most commandTimeout
	"goroutine":    pprof.Handler("goroutine"),
	"heap":         pprof.Handler("heap"),
	"allocs":       pprof.Handler("allocs"),
	"threadcreate": pprof.Handler("threadcreate"),
}

// profile answers an operator who looks for where time or memory goes. It costs a few percent of the processor while it runs, so
// it is logged as changes are.
func (s *Server) profile(w http.ResponseWriter, r *http.Request) {
	name, by := r.PathValue("profile"), callerOf(r)
	p := profiles[name]
	if p == nil {
		http.NotFound(w, r)
		return
	}
	var err error
	if by.Role < admin.RoleAdmin {
		err = &admin.Denied{Command: "a profile"}
	}
	s.Admin.Note(r.Context(), by, "profile", []string{name}, err)
	if err != nil {
		refuse(w, err)
		return
	}
	p.ServeHTTP(w, r)
}
