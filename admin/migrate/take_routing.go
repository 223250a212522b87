package migrate

import (
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/howdah/howdah/configs"
)

func (im *importer) balance(s setting) Entry {
	on, ok := switchOf(s.value)
	switch {
	case !ok:
		return refused("%q is neither on nor off", s.value)
	case on:
		return Entry{Fate: Default}
	}
	im.out.set("routing.balance", bare("off"), s.comment())
	return taken("routing.balance")
}

func (im *importer) statementLevel(s setting) Entry {
	on, ok := switchOf(s.value)
	switch {
	case !ok:
		return refused("%q is neither on nor off", s.value)
	case !on:
		return Entry{Fate: Default}
	case im.out.has("routing.balance"):
		return unneeded("load_balance_mode is off")
	}
	if lb, given := im.values["load_balance_mode"]; given && !im.isOn(lb.name) {
		return unneeded("load_balance_mode is off")
	}
	im.out.set("routing.balance", text("statement"), s.comment())
	return changed("routing.balance", "howdah chooses per statement too, but does not send BEGIN and SET to every server")
}

// functions takes over a list of regular expressions for names of functions.
func functions(key string) func(*importer, setting) Entry {
	return func(im *importer, s setting) Entry {
		names := split(s.value, ",")
		if len(names) == 0 {
			return Entry{Fate: Default}
		}
		for i, name := range names {
			// howdah's match the whole name too, without regard to case.
			name = strings.TrimSuffix(strings.TrimPrefix(name, "^"), "$")
			names[i] = strings.ReplaceAll(name, `"`, "")
			if _, err := regexp.Compile(names[i]); err != nil || names[i] == "" {
				return refused("%q is no regular expression of RE2", name)
			}
		}
		im.out.set(key, list(names), s.comment())
		return taken(key)
	}
}

func (im *importer) readOnlyFunctions(s setting) Entry {
	e := functions("routing.functions.read_only")(im, s)
	if e.Fate == Taken {
		e.Fate, e.Note = Changed, "functions that are not in the list are judged by their definitions, and are not writers for it"
	}
	return e
}

// patterns: Pgpool-II's match the whole text (anchors are added), howdah's anywhere.
func (im *importer) patterns(s setting) Entry {
	const key = "routing.primary_patterns"
	items := split(s.value, ";")
	if len(items) == 0 {
		return Entry{Fate: Default}
	}
	var all []string
	for _, prior := range im.patternsSoFar() {
		all = append(all, prior.Value)
	}
	for _, item := range items {
		whole := `(?s)^(?:` + strings.TrimSuffix(strings.TrimPrefix(item, "^"), "$") + `)$`
		if _, err := regexp.Compile(whole); err != nil {
			return refused("%q is no regular expression of RE2", item)
		}
		all = append(all, whole)
	}
	im.out.set(key, list(all), s.comment())
	return taken(key)
}

func (im *importer) patternsSoFar() []*yaml.Node {
	if !im.out.has("routing.primary_patterns") {
		return nil
	}
	return child(child(&im.out.root, "routing"), "primary_patterns").Content
}

// redirects only checks; writeRedirects writes all three lists in Pgpool-II's order of priority.
func redirects(match string) func(*importer, setting) Entry {
	return func(im *importer, s setting) Entry {
		items := split(s.value, ",")
		if len(items) == 0 {
			return Entry{Fate: Default}
		}
		for _, item := range items {
			r, ok := parseRedirect(item)
			if _, err := regexp.Compile(r.pattern); !ok || err != nil {
				return refused("%q is not of the form name:node(ratio)", item)
			}
		}
		return taken("routing.redirect")
	}
}

type redirect struct{ pattern, node, ratio string }

var redirectForm = regexp.MustCompile(`^(.+):([a-z]+|\d+)(?:\((\d*\.?\d+)\))?$`)

func parseRedirect(item string) (redirect, bool) {
	m := redirectForm.FindStringSubmatch(item)
	if m == nil {
		return redirect{}, false
	}
	r := redirect{strings.TrimSuffix(strings.TrimPrefix(m[1], "^"), "$"), m[2], m[3]}
	_, err := strconv.Atoi(r.node)
	return r, err == nil || r.node == "primary" || r.node == "standby"
}

// writeRedirects writes what the three lists say: the application before the database before the user.
func (im *importer) writeRedirects() {
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for _, l := range []struct{ name, match string }{{"app_name_redirect_preference_list", "app"},
		{"database_redirect_preference_list", "database"}, {"user_redirect_preference_list", "user"}} {
		s, ok := im.values[l.name]
		if !ok || redirects(l.match)(im, s).Fate != Taken {
			continue
		}
		for _, item := range split(s.value, ",") {
			r, _ := parseRedirect(item)
			if id, err := strconv.Atoi(r.node); err == nil {
				if r.node = im.nameOf(id); r.node == "" {
					im.add(Entry{Name: s.name, Place: s.place(), Fate: Refused, Note: strconv.Quote(item) + " names a backend that is not there"})
					continue
				}
			}
			pairs := []*yaml.Node{bare("match"), text(l.match), bare("pattern"), text(r.pattern), bare("node"), text(r.node)}
			if r.ratio != "" {
				pairs = append(pairs, bare("ratio"), bare(r.ratio))
			}
			all.Content = append(all.Content, row(pairs...))
		}
	}
	if len(all.Content) > 0 {
		im.out.set("routing.redirect", all, "from app_name_, database_ and user_redirect_preference_list")
	}
}

func (im *importer) comments(s setting) Entry {
	on, ok := switchOf(s.value)
	switch {
	case !ok:
		return refused("%q is neither on nor off", s.value)
	case on:
		return Entry{Fate: Default, Note: "comments decide nothing, but for hints: docs/ROUTING.md"}
	}
	im.out.set("routing.comments", text("primary"), s.comment())
	return Entry{Fate: Taken, To: "routing.comments", Note: "texts that begin with a comment read from the primary only; remove it if your programs comment all they send"}
}

func (im *importer) afterWrite(s setting) Entry {
	value := strings.ToLower(s.value)
	switch value {
	case "transaction":
		return Entry{Fate: Default}
	case "off":
		im.out.set("routing.after_write", bare("off"), s.comment())
	case "trans_transaction", "always", "dml_adaptive", "dml_adaptive_global":
		im.out.set("routing.after_write", text(value), s.comment())
		if value == "dml_adaptive_global" {
			im.out.set("routing.consistency", text("cluster"), "goes with dml_adaptive_global")
		}
	default:
		return refused("%q is no value of it", s.value)
	}
	return taken("routing.after_write")
}

func (im *importer) dependencies(s setting) Entry {
	pairs := split(s.value, ",")
	if len(pairs) == 0 {
		return Entry{Fate: Default}
	}
	for i, p := range pairs {
		pairs[i] = strings.ToLower(p)
		if _, err := configs.ParseDependency(pairs[i]); err != nil {
			return refused("%q %v", p, err)
		}
	}
	im.out.set("routing.dml_dependencies", list(pairs), s.comment())
	return taken("routing.dml_dependencies")
}

func (im *importer) checkUser(s setting) Entry {
	if s.value == "" || s.value == "nobody" {
		return Entry{Fate: Changed, To: "replication_check.user", Note: "howdah logs in as postgres unless you name a user; it needs LOGIN and pg_monitor"}
	}
	im.out.set("replication_check.user", text(s.value), s.comment())
	return Entry{Fate: Taken, To: "replication_check.user", Note: "needs LOGIN in every database in use, and pg_monitor"}
}

func (im *importer) checkPassword(s setting) Entry {
	if s.value == "" {
		return Entry{Fate: Default, Note: "Pgpool-II looks in pool_passwd; howdah does not: set replication_check.password if the servers ask for one"}
	}
	password, err := im.secret(s.value)
	if err != nil {
		return refused("%v", err)
	}
	im.out.set("replication_check.password", text(password), s.comment()+"; better: !file PATH")
	return taken("replication_check.password")
}

func (im *importer) checkTimeout(s setting) Entry {
	if period, ok := atoi(im.values["health_check_period"].value); !ok || period == 0 {
		return unneeded("health_check_period is 0; replication_check.timeout is 3 s")
	}
	d, ok := duration(s.value, "s")
	switch {
	case !ok:
		return refused("%q is no duration", s.value)
	case d == "0":
		return changed("replication_check.timeout", "howdah always has a limit; it stays at 3 s")
	}
	im.out.set("replication_check.timeout", bare(d), s.comment())
	return Entry{Fate: Taken, To: "replication_check.timeout", Note: "a dead server that does not refuse connections is noticed so late; the default is 3 s"}
}

func (im *importer) maxLagBytes(s setting) Entry {
	if n, ok := atoi(s.value); !ok || n < 0 {
		return refused("%q is no number of bytes", s.value)
	}
	if t, ok := im.values["delay_threshold_by_time"]; ok && t.value != "0" {
		return unneeded("delay_threshold_by_time counts instead")
	}
	im.out.set("replication_check.max_lag_bytes", bare(s.value), s.comment())
	return taken("replication_check.max_lag_bytes")
}

func (im *importer) catalogTTL(s setting) Entry {
	return im.positive(s, "catalog.ttl", "s", "what changes past howdah is seen within a minute, not never")
}
