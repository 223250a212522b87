package migrate

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// database takes over a line of [databases].
func (b *bouncer) database(s setting) {
	note := func(fate Fate, key, to, note string) {
		b.add(Entry{Name: strings.TrimSpace("databases: " + s.name + " " + key), Place: s.place(), Fate: fate, To: to, Note: note})
	}
	c, err := connection(s.value)
	if err != nil {
		note(Refused, "", "", err.Error())
		return
	}
	host, port := c["host"], c["port"]
	if host == "" {
		host = "/var/run/postgresql" // Debian's; elsewhere libpq's is /tmp
		note(Changed, "host", "backends", "none is given, which is the Unix socket: taken for "+host)
	}
	if port == "" {
		port = "5432"
	}
	if n, ok := atoi(port); !ok || n < 1 || n > 65535 {
		note(Refused, "port", "", fmt.Sprintf("%q is no port", port))
		return
	}
	for h := range strings.SplitSeq(host, ",") {
		if one := (server{strings.TrimSpace(h), port}); one.host != "" && !slices.Contains(b.servers, one) {
			b.servers = append(b.servers, one)
		}
	}
	note(Taken, "", "backends", "")
	rule := row()
	if s.name != "*" {
		rule = row(bare("database"), text(s.name))
	}
	for _, key := range sortedKeys(c) {
		value := c[key]
		switch key {
		case "host", "port":
		case "dbname":
			if s.name != "*" && value != s.name {
				note(Refused, key, "", fmt.Sprintf("howdah gives databases no other names: clients must ask for %q", value))
			}
		case "pool_mode":
			b.poolMode(rule, value, func(fate Fate, to, text string) { note(fate, key, to, text) })
		case "max_db_connections":
			b.bound(rule, "max_connections", "pool.max_db_connections", value, s, func(to string) { note(Changed, key, to, "on each server") })
		case "max_db_client_connections":
			b.bound(rule, "max_clients", "limits.max_db_client_connections", value, s, func(to string) { note(Taken, key, to, "") })
		case "pool_size":
			if n, ok := atoi(value); ok && n > 0 {
				rule.Content = append(rule.Content, bare("max_per_user"), bare(value))
				note(Changed, key, "pool.rules", "it is for each user of the database, on each server")
			}
		case "user", "password":
			note(ByHand, key, "", "howdah logs in to the servers under the clients' own names; make that role's rights theirs, or give clients its name")
		case "auth_user", "auth_query", "auth_dbname":
			note(ByHand, key, "", "auth.query is the same for all databases")
		case "connect_query":
			note(ByHand, key, "", "ALTER DATABASE … SET or ALTER ROLE … SET does it on the servers")
		case "client_encoding", "datestyle", "timezone":
			note(ByHand, key, "", fmt.Sprintf("ALTER DATABASE %s SET %s does it on the servers", s.name, key))
		case "min_pool_size", "reserve_pool", "reserve_pool_size", "server_lifetime", "load_balance_hosts", "application_name":
			note(Unneeded, key, "", "it is set for all databases, in the pool section")
		default:
			note(Refused, key, "", "PgBouncer has no such option")
		}
	}
	b.addRule(rule, s)
}

// user takes over a line of [users].
func (b *bouncer) user(s setting) {
	note := func(fate Fate, key, to, note string) {
		b.add(Entry{Name: strings.TrimSpace("users: " + s.name + " " + key), Place: s.place(), Fate: fate, To: to, Note: note})
	}
	c, err := connection(s.value)
	if err != nil {
		note(Refused, "", "", err.Error())
		return
	}
	rule := row(bare("user"), text(s.name))
	for _, key := range sortedKeys(c) {
		switch key {
		case "pool_mode":
			b.poolMode(rule, c[key], func(fate Fate, to, text string) { note(fate, key, to, text) })
		case "max_user_connections":
			b.bound(rule, "max_connections", "", c[key], s, func(to string) { note(Changed, key, to, "on each server") })
		case "max_user_client_connections":
			b.bound(rule, "max_clients", "", c[key], s, func(to string) { note(Taken, key, to, "") })
		case "pool_size":
			if n, ok := atoi(c[key]); ok && n > 0 {
				rule.Content = append(rule.Content, bare("max_per_user"), bare(c[key]))
				note(Changed, key, "pool.rules", "it is for each database, on each server")
			}
		default:
			note(Unneeded, key, "", "timeouts and limits of one user are ALTER ROLE … SET and CONNECTION LIMIT on the servers")
		}
	}
	b.addRule(rule, s)
}

func (b *bouncer) poolMode(rule *yaml.Node, mode string, note func(Fate, string, string)) {
	if !slices.Contains([]string{"session", "transaction", "statement"}, mode) {
		note(Refused, "", fmt.Sprintf("%q is no mode", mode))
		return
	}
	rule.Content = append(rule.Content, bare("mode"), text(mode))
	note(Taken, "pool.rules", "")
}

// bound takes over a limit as a key of the rule, or, if that is for all, as the setting global. done is told where it went.
func (b *bouncer) bound(rule *yaml.Node, key, global, value string, s setting, done func(to string)) {
	n, ok := atoi(value)
	switch {
	case !ok || n <= 0: // PgBouncer's word for no limit
		done("")
	case isNamed(rule):
		rule.Content = append(rule.Content, bare(key), bare(value))
		done("pool.rules")
	default:
		b.out.set(global, bare(value), "databases: "+s.name+", "+s.place())
		done(global)
	}
}

// isNamed is whether the rule is for a user or a database.
func isNamed(rule *yaml.Node) bool {
	return len(rule.Content) > 0 && (rule.Content[0].Value == "user" || rule.Content[0].Value == "database")
}

// addRule keeps a rule that says something.
func (b *bouncer) addRule(rule *yaml.Node, s setting) {
	named := isNamed(rule)
	switch {
	case named && len(rule.Content) > 2:
		b.rules = append(b.rules, rule)
	case !named && len(rule.Content) > 0:
		for i := 0; i+1 < len(rule.Content); i += 2 {
			b.out.set("pool."+rule.Content[i].Value, rule.Content[i+1], "databases: "+s.name+", "+s.place())
		}
	}
}
