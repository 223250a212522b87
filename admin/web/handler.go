package web

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"github.com/howdah/howdah/admin"
)

//go:embed static
var static embed.FS

// maxBody bounds a command's arguments, in bytes.
const maxBody = 16 << 10

// handler is all paths; who says who calls.
func (s *Server) handler(who identify) http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the name is a constant
	}
	mux := http.NewServeMux()
	checks := map[string]http.HandlerFunc{"/healthz": s.healthz, "/readyz": s.readyz, "/primary": s.primary, "/read-write": s.primary, "/replica": s.replica, "/leader": s.leader}
	for path, check := range checks {
		mux.HandleFunc("GET "+path, check)
		mux.HandleFunc("OPTIONS "+path, check) // HAProxy's httpchk, which Patroni answers too
	}
	mux.Handle("GET /metrics", metricsHandler(s.Admin))
	mux.Handle("GET /", readers(who, http.FileServerFS(files)))
	mux.Handle("GET /login", readers(who, http.HandlerFunc(login)))
	mux.Handle("GET /api/v1/{$}", readers(who, http.HandlerFunc(listCommands)))
	mux.Handle("GET /api/v1/whoami", readers(who, http.HandlerFunc(whoami)))
	mux.Handle("GET /api/v1/openapi.json", readers(who, http.HandlerFunc(openAPI)))
	mux.Handle("GET /api/v1/{command}", readers(who, http.HandlerFunc(s.look)))
	mux.Handle("POST /api/v1/{command}", readers(who, http.HandlerFunc(s.command)))
	mux.Handle("GET /debug/pprof/{profile}", readers(who, http.HandlerFunc(s.profile)))
	return secure(mux)
}

// secure sets what browsers must know of every answer.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// callerKey is a request's key for who sent it.
type callerKey struct{}

func callerOf(r *http.Request) admin.Caller {
	by, _ := r.Context().Value(callerKey{}).(admin.Caller)
	return by
}

// readers lets in who may look.
func readers(who identify, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		by, err := who(r)
		if err != nil {
			refuse(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, by)))
	})
}

// refuse answers with an error as {"error": …}.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var own *httpError
	var mistake *admin.Mistake
	var denied *admin.Denied
	var unavailable *admin.Unavailable
	var refused *admin.Refused
	switch {
	case errors.As(err, &own):
		status = own.status
	case errors.As(err, &mistake):
		status = http.StatusBadRequest
	case errors.As(err, &denied):
		status = http.StatusForbidden
	case errors.As(err, &refused):
		status = http.StatusConflict
	case errors.As(err, &unavailable):
		status = http.StatusNotImplemented
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="howdah", charset="UTF-8"`)
	}
	send(w, status, map[string]string{"error": err.Error()})
}

func send(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(value) //nolint:errcheck // the client went away
}

// look answers a command without arguments.
func (s *Server) look(w http.ResponseWriter, r *http.Request) {
	by := callerOf(r)
	by.Role = min(by.Role, admin.RoleReader) // a link must not change anything
	s.answer(w, r, by, nil)
}

// command answers any command; its body is {"args": ["…"]}.
func (s *Server) command(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Howdah") == "" {
		refuse(w, &httpError{http.StatusForbidden, "the header X-Howdah is missing"})
		return
	}
	var body struct {
		Args []string `json:"args"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		refuse(w, &httpError{http.StatusBadRequest, `the body is not of the form {"args": ["…"]}`})
		return
	}
	s.answer(w, r, callerOf(r), body.Args)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, by admin.Caller, args []string) {
	t, err := s.Admin.Run(r.Context(), by, r.PathValue("command"), args)
	if err != nil {
		refuse(w, err)
		return
	}
	if strings.HasPrefix(r.Header.Get("Accept"), "text/plain") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte(t.String())) //nolint:errcheck // the client went away
		return
	}
	send(w, http.StatusOK, map[string]any{"columns": t.Columns, "rows": t.Objects()})
}

// login has the browser ask for a password, where the page is shown without one.
func login(w http.ResponseWriter, r *http.Request) {
	if callerOf(r).User == "" {
		refuse(w, &httpError{http.StatusUnauthorized, "log in as a user of admin.users_file"})
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func whoami(w http.ResponseWriter, r *http.Request) {
	by := callerOf(r)
	send(w, http.StatusOK, map[string]any{"user": by.User, "may_change": by.Role >= admin.RoleAdmin})
}

func listCommands(w http.ResponseWriter, _ *http.Request) {
	var all []map[string]any
	for _, c := range admin.Commands() {
		all = append(all, map[string]any{"name": c.Name, "args": c.Args, "summary": c.Summary, "changes": c.Changes})
	}
	send(w, http.StatusOK, map[string]any{"commands": all})
}
