package admin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/wire"
)

// Question is what a session asks.
type Question struct {
	User string
	// ReadNode is where the session reads, or cluster.NoNode.
	ReadNode cluster.NodeID
	// Settings are those of Pgpool-II that the session has itself: on or off.
	Settings map[string]string
}

// Reply is a table or, without columns, a completion. Set are settings to be changed in the session.
type Reply struct {
	Table Table
	Tag   string
	Set   map[string]string
}

// Ask answers SHOW pool_nodes and its kin, SHOW howdah.COMMAND for the commands that look and take
// no arguments, and PGPOOL SHOW, SET and RESET. Every user that may log in may ask, as with
// Pgpool-II. The error is an *wire.Error.
func (a *Admin) Ask(ctx context.Context, q Question, text string) (Reply, error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return Reply{}, syntaxError(text)
	}
	if strings.EqualFold(words[0], "pgpool") {
		return a.askPgpool(q, words[1:])
	}
	name := strings.ToLower(words[1])
	if command, own := strings.CutPrefix(name, "howdah."); own {
		return a.askOwn(ctx, q, command)
	}
	switch name {
	case "pool_nodes":
		return Reply{Table: *a.showNodes(q.ReadNode)}, nil
	case "pool_pools":
		return Reply{Table: *a.showPools(os.Getpid())}, nil
	case "pool_processes":
		return Reply{Table: *a.showProcesses()}, nil
	case "pool_status":
		return Reply{Table: *a.showStatus()}, nil
	case "pool_version":
		return Reply{Table: Table{Columns: []string{"pool_version"}, Rows: [][]any{{a.PoolVersion()}}}}, nil
	case "pool_cache":
		return Reply{Table: *a.showCache()}, nil
	case "pool_health_check_stats":
		return Reply{Table: *a.HealthStats()}, nil
	case "pool_backend_stats":
		return Reply{Table: *a.showBackendStats()}, nil
	}
	return Reply{}, syntaxError(text)
}

func syntaxError(text string) error {
	return &wire.Error{Code: "42601", Message: fmt.Sprintf("howdah does not know %q", text)}
}

// askOwn answers SHOW howdah.COMMAND; hyphens are underscores there.
func (a *Admin) askOwn(ctx context.Context, q Question, command string) (Reply, error) {
	var known []string
	command = strings.ReplaceAll(command, "_", "-")
	for _, c := range Commands() {
		if !c.Changes && len(c.Args) == 0 {
			known = append(known, c.Name)
		}
	}
	if !slices.Contains(known, command) {
		return Reply{}, &wire.Error{Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", "howdah."+strings.ReplaceAll(command, "-", "_")),
			Hint: "howdah has the setting howdah.route, and shows howdah.stats, howdah." + strings.ReplaceAll(strings.Join(known, ", howdah."), "-", "_") + " too."}
	}
	t, err := a.Run(ctx, Caller{Door: "sql", User: q.User, Role: RoleReader}, command, nil)
	if err != nil {
		return Reply{}, sqlError(err)
	}
	return Reply{Table: *t}, nil
}

// sqlError gives an error of a command its SQLSTATE.
func sqlError(err error) error {
	code := "XX000"
	var mistake *Mistake
	var denied *Denied
	var unavailable *Unavailable
	switch {
	case errors.As(err, &mistake):
		code = "22023"
	case errors.As(err, &denied):
		code = "42501"
	case errors.As(err, &unavailable):
		code = "0A000"
	}
	return &wire.Error{Code: code, Message: err.Error()}
}

// groups are what PGPOOL SHOW takes besides parameters: the beginnings of their parameters' names.
var groups = map[string]string{"backend": "backend_", "watchdog": "wd_", "heartbeat": "heartbeat_", "health_check": "health_check_", "all": ""}

// wordSettings are those of a session that are not on or off.
var wordSettings = map[string][]string{"log_backend_messages": {"none", "terse", "verbose"}}

// askPgpool answers what follows the word PGPOOL.
func (a *Admin) askPgpool(q Question, words []string) (Reply, error) {
	verb := strings.ToUpper(words[0])
	if len(words) < 2 {
		return Reply{}, syntaxError("PGPOOL " + verb)
	}
	name := strings.ToLower(words[1])
	switch {
	case verb == "SHOW" && len(words) == 2:
		return a.showParameter(q, name)
	case verb == "RESET" && len(words) == 2:
		set := map[string]string{name: ""}
		if name == "all" {
			set = map[string]string{}
			for n := range q.Settings {
				set[n] = ""
			}
		} else if err := a.settable(q, name); err != nil {
			return Reply{}, err
		}
		return Reply{Tag: "RESET", Set: set}, nil
	case verb == "SET":
		value, ok := assigned(words[2:])
		if !ok {
			return Reply{}, syntaxError("PGPOOL SET " + name)
		}
		if err := a.settable(q, name); err != nil {
			return Reply{}, err
		}
		if words, ok := wordSettings[name]; ok {
			if value = strings.ToLower(value); slices.Contains(words, value) {
				return Reply{Tag: "SET", Set: map[string]string{name: value}}, nil
			}
			return Reply{}, &wire.Error{Code: "22023", Message: fmt.Sprintf("invalid value for parameter %q: %q", name, value), Hint: "Available values: " + strings.Join(words, ", ") + "."}
		}
		switch strings.ToLower(value) {
		case "on", "true", "yes", "1":
			return Reply{Tag: "SET", Set: map[string]string{name: "on"}}, nil
		case "off", "false", "no", "0":
			return Reply{Tag: "SET", Set: map[string]string{name: "off"}}, nil
		}
		return Reply{}, &wire.Error{Code: "22023", Message: fmt.Sprintf("invalid value for parameter %q: %q", name, value), Hint: "Write on or off."}
	}
	return Reply{}, syntaxError("PGPOOL " + strings.Join(words, " "))
}

// assigned is the value in "TO value" or "= value".
func assigned(words []string) (string, bool) {
	if len(words) != 2 || !strings.EqualFold(words[0], "to") && words[0] != "=" {
		return "", false
	}
	return strings.Trim(words[1], "'"), true
}

func (a *Admin) settable(q Question, name string) error {
	if _, ok := q.Settings[name]; ok {
		return nil
	}
	code, message := "42704", fmt.Sprintf("howdah has no parameter %q", name)
	for _, i := range a.PoolStatus() {
		if i.Name == name {
			code, message = "55P02", fmt.Sprintf("parameter %q cannot be changed in a session", name)
		}
	}
	return &wire.Error{Code: code, Message: message, Hint: "A session can set notice_per_node_statement, log_per_node_statement, log_statement, log_client_messages and log_backend_messages."}
}

// showParameter answers PGPOOL SHOW of a parameter, a group or ALL.
func (a *Admin) showParameter(q Question, name string) (Reply, error) {
	if value, ok := q.Settings[name]; ok {
		return Reply{Table: Table{Columns: []string{name}, Rows: [][]any{{value}}}}, nil
	}
	prefix, isGroup := groups[name]
	var items []Item
	for _, i := range a.PoolStatus() {
		if i.Name == name {
			return Reply{Table: Table{Columns: []string{name}, Rows: [][]any{{i.Value}}}}, nil
		}
		if isGroup && strings.HasPrefix(i.Name, prefix) {
			items = append(items, i)
		}
	}
	if !isGroup {
		return Reply{}, &wire.Error{Code: "42704", Message: fmt.Sprintf("howdah has no parameter %q", name), Hint: "PGPOOL SHOW ALL shows those that it has."}
	}
	return Reply{Table: *itemTable(items)}, nil
}
