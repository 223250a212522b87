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

// profile answers an operator who looks for where time or memory goes. It costs a few percent of the processor while it runs.
func profile(w http.ResponseWriter, r *http.Request) {
	if callerOf(r).Role < admin.RoleAdmin {
		refuse(w, &admin.Denied{Command: "a profile"})
		return
	}
	p := profiles[r.PathValue("profile")]
	if p == nil {
		http.NotFound(w, r)
		return
	}
	p.ServeHTTP(w, r)
}
