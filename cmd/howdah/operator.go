package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/configs"
)

// defaultSocket is where the command line looks for a howdah that it is told nothing of.
const defaultSocket = "/run/howdah/admin.sock"

// unreachable is a howdah that does not answer.
type unreachable struct{ err error }

func (e *unreachable) Error() string { return "howdah does not answer: " + e.err.Error() }
func (e *unreachable) Unwrap() error { return e.err }

// operatorCommands are those that a running howdah carries out, as commands of the program.
func operatorCommands() []command {
	var all []command
	for _, c := range admin.Commands() {
		if c.Name == "watchdog" {
			continue // one of several words of the command of that name (runWatchdog)
		}
		all = append(all, command{c.Name, strings.Join(c.Args, " "), c.Summary,
			func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
				return runOperator(ctx, c, args, stdout)
			}})
	}
	return all
}

// operatorOptions are the flags that all of them have.
type operatorOptions struct {
	config, socket, url, user string
	json                      bool
	watch                     bool
}

func (o *operatorOptions) register(flags *flag.FlagSet) {
	flags.StringVar(&o.config, "c", "", "")
	flags.StringVar(&o.socket, "socket", "", "")
	flags.StringVar(&o.url, "url", "", "")
	flags.StringVar(&o.user, "user", "", "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.BoolVar(&o.watch, "watch", false, "")
}

// How long an answer may take. A switchover waits for open transactions.
const (
	lookTimeout   = 30 * time.Second
	changeTimeout = 11 * time.Minute
)

// watchEvery is how often --watch asks.
const watchEvery = 2 * time.Second

// runOperator has a running howdah carry out c and prints the answer.
func runOperator(ctx context.Context, c admin.Command, args []string, stdout io.Writer) error {
	flags := newFlags(c.Name)
	var o operatorOptions
	o.register(flags)
	others, err := parseMixed(flags, args)
	if err != nil {
		return err
	}
	least := len(slices.DeleteFunc(slices.Clone(c.Args), func(a string) bool { return a[0] == '[' }))
	if len(others) < least || len(others) > len(c.Args) {
		what := "it takes no arguments"
		if len(c.Args) > 0 {
			what = "its arguments are " + strings.Join(c.Args, " ")
		}
		return &usageError{c.Name, what}
	}
	if o.watch && c.Changes {
		return &usageError{c.Name, "--watch is for commands that look"}
	}
	client, err := o.client()
	if err != nil {
		return err
	}
	client.http.Timeout = lookTimeout
	if c.Changes {
		client.http.Timeout = changeTimeout
	}
	text, err := client.show(ctx, c.Name, others, o.json)
	if err != nil {
		return err
	}
	if !o.watch {
		_, err := io.WriteString(stdout, text)
		return err
	}
	return watch(ctx, stdout, text, func() (string, error) { return client.show(ctx, c.Name, others, o.json) })
}

// watch shows a text, and again and again what next gives. A howdah that does not answer any more may be restarting.
func watch(ctx context.Context, stdout io.Writer, text string, next func() (string, error)) error {
	for {
		if isTerminal(stdout) {
			text = "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J" // in place, without a flicker
		}
		if _, err := io.WriteString(stdout, text); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
		var err error
		var gone *unreachable
		text, err = next()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &gone):
			text = gone.Error() + "\n"
		case err != nil:
			return err
		}
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// operatorClient speaks to a running howdah.
type operatorClient struct {
	http           *http.Client
	base           string
	user, password string
}

// client finds the running howdah: --url, --socket, the configuration's socket, $HOWDAH_SOCKET, or the usual one.
func (o *operatorOptions) client() (*operatorClient, error) {
	if o.url != "" {
		u, err := url.Parse(o.url)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, &usageError{"", fmt.Sprintf("%q is no URL of a howdah, as in http://127.0.0.1:9897", o.url)}
		}
		if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && o.user != "" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, &usageError{"", "a password is sent over https or to loopback only"}
		}
		return &operatorClient{http: &http.Client{}, base: strings.TrimSuffix(o.url, "/"), user: o.user, password: os.Getenv("HOWDAH_PASSWORD")}, nil
	}
	path := o.socket
	if path == "" && o.config == "" {
		path = os.Getenv("HOWDAH_SOCKET")
	}
	if path == "" && o.config != "" {
		cfg, err := configs.Load(o.config)
		if err != nil {
			return nil, err
		}
		if path = cfg.Admin.Socket; path == "" {
			return nil, fmt.Errorf("%s has no admin.socket", o.config)
		}
	}
	if path == "" {
		path = defaultSocket
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &operatorClient{http: &http.Client{Transport: &http.Transport{DialContext: dial}}, base: "http://howdah"}, nil
}

// show is the answer to a command as a text. status is a screen of several.
func (c *operatorClient) show(ctx context.Context, name string, args []string, asJSON bool) (string, error) {
	if asJSON || name != "status" {
		return c.run(ctx, name, args, asJSON)
	}
	var all []string
	for _, part := range []string{"status", "nodes", "pools"} {
		text, err := c.run(ctx, part, nil, false)
		if err != nil {
			return "", err
		}
		if part == "status" {
			_, text, _ = strings.Cut(text, "\n") // its columns' names say nothing
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n"), nil
}

// maxAnswer bounds an answer, in bytes: some hundred thousand sessions.
const maxAnswer = 256 << 20

func (c *operatorClient) run(ctx context.Context, name string, args []string, asJSON bool) (string, error) {
	if args == nil {
		args = []string{}
	}
	body, err := json.Marshal(map[string][]string{"args": args})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/api/v1/"+name, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("X-Howdah", "1")
	r.Header.Set("Accept", "text/plain")
	if asJSON {
		r.Header.Set("Accept", "application/json")
	}
	if c.user != "" {
		r.SetBasicAuth(c.user, c.password)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return "", &unreachable{err}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return "", &unreachable{err}
	}
	if answer.StatusCode == http.StatusOK {
		return string(text), nil
	}
	var refusal struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(text, &refusal) != nil || refusal.Error == "" {
		refusal.Error = answer.Status
	}
	if answer.StatusCode == http.StatusBadRequest {
		return "", &usageError{name, refusal.Error}
	}
	return "", errors.New(refusal.Error)
}

// twoWords are commands that may be written with a blank: howdah kill session 5.
func twoWords(args []string) []string {
	if len(args) >= 2 {
		switch args[0] + " " + args[1] {
		case "log level":
			return append([]string{"log-level"}, args[2:]...)
		case "log rotate":
			return append([]string{"log-rotate"}, args[2:]...)
		case "kill session":
			return append([]string{"kill"}, args[2:]...)
		}
	}
	return args
}
