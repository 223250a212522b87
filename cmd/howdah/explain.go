package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/proxy"
)

// explainOptions are the command line of `howdah explain`.
type explainOptions struct {
	config string
	// user, database and application are whose session it would be.
	user, database, application string
	json, jsonl                 bool
	sql                         string
}

// runExplain says where statements would run, and why.
func runExplain(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	return explain(ctx, args, os.Stdin, stdout)
}

func explain(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	o, err := parseExplain(args)
	if err != nil {
		return err
	}
	e, err := newExplainer(ctx, o)
	if err != nil {
		return err
	}
	if o.jsonl {
		return explainLines(stdin, stdout, e)
	}
	if o.sql == "-" {
		text, err := io.ReadAll(stdin)
		if err != nil {
			return fmt.Errorf("read the statement: %w", err)
		}
		o.sql = string(text)
	}
	r := e.explain([]byte(o.sql))
	r.Notes = append(r.Notes, e.notes...)
	if o.json {
		return writeJSON(stdout, r)
	}
	_, err = io.WriteString(stdout, strings.Join(r.Lines(), "\n")+"\n")
	return err
}

// parseExplain reads flags before and after the one statement.
func parseExplain(args []string) (*explainOptions, error) {
	o := &explainOptions{}
	flags := newFlags("explain")
	flags.StringVar(&o.config, "c", "", "")
	flags.StringVar(&o.user, "U", "", "")
	flags.StringVar(&o.database, "d", "", "")
	flags.StringVar(&o.application, "a", "", "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.BoolVar(&o.jsonl, "jsonl", false, "")
	var statements []string
	for {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, &usageError{"explain", err.Error()}
		}
		if flags.NArg() == 0 {
			break
		}
		statements = append(statements, flags.Arg(0))
		args = flags.Args()[1:]
	}
	switch {
	case o.json && o.jsonl:
		return nil, &usageError{"explain", "-json and -jsonl are given both"}
	case o.jsonl && len(statements) > 0:
		return nil, &usageError{"explain", "-jsonl reads its statements from standard input"}
	case !o.jsonl && len(statements) != 1:
		return nil, &usageError{"explain", fmt.Sprintf("one statement is needed, in quotes; given are %d", len(statements))}
	case o.config == "" && o.user+o.database+o.application != "":
		return nil, &usageError{"explain", "-U, -d and -a mean something with -c FILE only"}
	}
	if !o.jsonl {
		o.sql = statements[0]
	}
	return o, nil
}

// explainer decides about statements as each were the first of a fresh session,
// outside of a transaction. It is safe for concurrent use.
type explainer struct {
	parser   *parser.Parser
	settings balancer.Settings
	redirect parser.Hint
	// rules are the file's, and env what names are resolved with; nil without a file.
	rules *parser.Rules
	env   *parser.Env
	view  *cluster.View
	// named: the view is of real servers.
	named bool
	notes []string
}

// explainCache is enough for all shapes of statements of a test suite.
const explainCache = 64 << 20

func newExplainer(ctx context.Context, o *explainOptions) (*explainer, error) {
	e := &explainer{parser: parser.New(parser.Options{CacheBytes: explainCache}), view: imaginedView()}
	if o.config == "" {
		e.env = parser.NewEnv(parser.Env{Extensions: true})
		e.notes = []string{"decided from the text and built-in knowledge alone, as a fresh session's first statement"}
		return e, nil
	}
	c, err := configs.Load(o.config)
	if err != nil {
		return nil, err
	}
	e.settings, e.named = proxy.RoutingSettings(c), true
	redirects, err := proxy.NewRedirects(c.Routing.Redirect)
	if err != nil {
		return nil, err
	}
	e.redirect = redirects.Choose(o.user, o.database, o.application, 0) // as if its ratio took the session
	e.rules, err = parser.NewRules(c.Routing.Functions.ReadOnly, c.Routing.Functions.Write, c.Routing.PrimaryPatterns)
	if err != nil {
		return nil, fmt.Errorf("read routing rules: %w", err)
	}
	e.env = parser.NewEnv(parser.Env{Rules: e.rules})
	if e.view, err = askServers(ctx, c); err != nil {
		return nil, err
	}
	if e.view == nil {
		e.view = configuredView(c)
		e.notes = []string{"no server answers: decided from the text and the file, as if all were up and the first were the primary"}
		return e, nil
	}
	return e, e.learnNames(ctx, c, o)
}

// askServersWait bounds the question which servers are up and which is the primary.
const askServersWait = 3 * time.Second

// askServers is the view of the real servers, as howdah's probes have it; nil if none answers.
func askServers(ctx context.Context, c *configs.Config) (*cluster.View, error) {
	cl, err := cluster.New(c.BackendsInEffect(), c.ReplicationCheck, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askServersWait)
	var probes sync.WaitGroup
	probes.Go(func() { cl.Run(ctx) })
	defer probes.Wait()
	defer cancel()
	settled := func(v *cluster.View) bool {
		for i := range v.Nodes {
			// What is known of the lag comes with the second probe.
			if n := &v.Nodes[i]; n.State == cluster.StateWaiting || n.Lagging != "" {
				return false
			}
		}
		return true
	}
	// If it takes too long, what is known by then must do.
	_, _ = cl.WaitFor(ctx, settled)
	v := cl.View()
	for i := range v.Nodes {
		if v.Nodes[i].State == cluster.StateUp {
			return v, nil
		}
	}
	return nil, nil
}

// imaginedView is a primary that keeps reads off itself, and a standby that has everything.
func imaginedView() *cluster.View {
	return &cluster.View{Primary: 0, Nodes: []cluster.Node{
		{ID: 0, Name: "primary", State: cluster.StateUp, Role: cluster.RolePrimary, Horizon: math.MaxInt64},
		{ID: 1, Name: "standby", State: cluster.StateUp, Role: cluster.RoleStandby, Horizon: math.MaxInt64, Weight: 1},
	}}
}

// configuredView is the file's servers, all up, the first as the primary.
func configuredView(c *configs.Config) *cluster.View {
	v := &cluster.View{Primary: 0}
	for i, b := range c.Backends {
		role := cluster.RoleStandby
		if i == 0 {
			role = cluster.RolePrimary
		}
		v.Nodes = append(v.Nodes, cluster.Node{ID: cluster.NodeID(i), Name: b.Name, Host: b.Host, Port: b.Port,
			Weight: b.Weight, State: cluster.StateUp, Role: role, Horizon: math.MaxInt64})
	}
	return v
}

func (e *explainer) explain(sql []byte) *balancer.Report {
	v := e.rules.Judge(e.parser.Verdict(sql), sql)
	in := &balancer.Input{Verdict: parser.Resolve(v, e.env), View: e.view, Session: balancer.NewSession(e.settings)}
	in.Session.Redirect = e.redirect
	r := balancer.Explain(in, balancer.Decide(in), e.env)
	if !e.named {
		r.Node = ""
	}
	return r
}

// writeJSON writes one value and a newline.
func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
