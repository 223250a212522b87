package migrate

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/howdah/howdah/auth"
)

// bouncer is an import of a pgbouncer.ini under way.
type bouncer struct {
	*importer
	databases, users []setting
	servers          []server
	rules            []*yaml.Node
	passwords        map[string]string // of auth_file, by user
}

// server is one that databases name.
type server struct{ host, port string }

// IsPgBouncer says whether a file is PgBouncer's rather than Pgpool-II's: it has sections.
func IsPgBouncer(conf []byte) bool {
	for line := range strings.Lines(string(conf)) {
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "[pgbouncer]", "[databases]":
			return true
		}
	}
	return false
}

// ImportPgBouncer reads pgbouncer.ini and what it names. Files.HBA and Passwd are auth_hba_file
// and auth_file if they are elsewhere.
func ImportPgBouncer(files Files) (*Result, error) {
	conf, err := files.Open(files.Conf)
	if err != nil {
		return nil, fmt.Errorf("read pgbouncer.ini: %w", err)
	}
	b := &bouncer{importer: &importer{files: files, values: map[string]setting{}}, passwords: map[string]string{}}
	var own []setting
	r := iniReader{open: files.Open}
	r.read(files.Conf, conf, 0)
	for _, p := range r.problems {
		b.add(Entry{Name: p, Fate: Refused})
	}
	for _, s := range r.settings {
		switch s.section {
		case "pgbouncer":
			own = append(own, s.setting)
			b.values[s.name] = s.setting
		case "databases":
			b.databases = append(b.databases, s.setting)
		case "users":
			b.users = append(b.users, s.setting)
		case "peers":
			b.add(Entry{Name: "peers: " + s.name, Place: s.place(), Fate: Unneeded, Note: "members of the watchdog forward each other's cancel requests"})
		default:
			b.add(Entry{Name: s.name, Place: s.place(), Fate: Refused, Note: fmt.Sprintf("there is no section [%s] in a pgbouncer.ini", s.section)})
		}
	}
	b.readUserList()
	for _, s := range own {
		e := b.own(s)
		e.Name, e.Place = s.name, s.place()
		b.add(e)
	}
	b.writeDefaults()
	for _, s := range b.databases {
		b.database(s)
	}
	for _, s := range b.users {
		b.user(s)
	}
	b.writeServers()
	b.writeLogins()
	if len(b.rules) > 0 {
		b.out.set("pool.rules", &yaml.Node{Kind: yaml.SequenceNode, Content: b.rules}, "of [databases] and [users]")
	}
	out, err := b.out.bytes("Made by howdah import from " + files.Conf + ".\nEvery other setting has its default: howdah check -c FILE --show")
	if err != nil {
		return nil, err
	}
	return &Result{YAML: out, Report: b.report}, nil
}

// own decides about one setting of [pgbouncer].
func (b *bouncer) own(s setting) Entry {
	p, ok := bouncerParams[s.name]
	switch {
	case !ok:
		return refused("no setting of PgBouncer 1.25 or before; check the spelling")
	case b.values[s.name] != s:
		return unneeded("given again later, which counts")
	case p.take != nil:
		return p.take(b, s)
	case p.fate == ByHand && (s.value == "0" || s.value == ""): // which is no limit, or off
		return Entry{Fate: Default}
	}
	return Entry{Fate: p.fate, Note: p.note}
}

// writeDefaults writes what PgBouncer does without being told, and howdah does in another way.
func (b *bouncer) writeDefaults() {
	for _, d := range []struct{ name, key, value string }{{"listen_port", "listen.port", "6432"}, {"max_client_conn", "limits.max_clients", "100"}} {
		if _, given := b.values[d.name]; !given {
			b.out.set(d.key, bare(d.value), "PgBouncer's default")
		}
	}
	if _, given := b.values["listen_addr"]; !given {
		b.out.set("listen.addresses", list(nil), "PgBouncer's default is Unix sockets only")
	}
	if _, given := b.values["unix_socket_dir"]; !given {
		b.out.set("listen.unix_dirs", list([]string{"/tmp"}), "PgBouncer's default")
	}
}

// writeServers writes the distinct servers that databases name.
func (b *bouncer) writeServers() {
	if len(b.servers) == 0 {
		b.add(Entry{Name: "databases", Fate: Refused, Note: "no server is configured; list your servers under backends"})
		return
	}
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for i, s := range b.servers {
		all.Content = append(all.Content, row(bare("name"), text(fmt.Sprintf("pg%d", i)), bare("host"), text(s.host), bare("port"), bare(s.port)))
	}
	b.out.set("backends", all, "the servers of [databases]")
	if len(b.servers) > 1 {
		b.add(Entry{Name: "databases", Fate: Changed, To: "backends",
			Note: fmt.Sprintf("%d servers are named; in howdah they must be a primary and its standbys, and every database is read on all of them. If they are not, run one howdah for each", len(b.servers))})
	}
	b.add(Entry{Name: "replication_check.user", Fate: ByHand, Note: "howdah watches the servers as the user postgres: give it a user with LOGIN and pg_monitor (and replication_check.password)"})
}

// bounces are auth_type's values as methods of rules.
var bounces = map[string]string{"md5": "md5", "scram-sha-256": "scram-sha-256", "plain": "password", "trust": "trust"}

// writeLogins writes who may connect.
func (b *bouncer) writeLogins() {
	kind := b.values["auth_type"].value
	if kind == "" {
		kind = "md5" // PgBouncer's default
	}
	switch method, ok := bounces[kind]; {
	case ok:
		b.out.set("auth.hba", list([]string{"local all all " + method, "host all all all " + method}), "auth_type "+kind)
	case kind == "cert":
		b.out.set("auth.hba", list([]string{"hostssl all all all cert"}), "auth_type cert")
	case kind == "hba":
		name := b.files.HBA
		if name == "" {
			name = b.beside(b.values["auth_hba_file"].value)
		}
		data, err := b.files.Open(name)
		if err == nil {
			_, err = auth.ParseHBA(name, bytes.NewReader(data))
		}
		if err != nil {
			b.out.set("auth.hba", list([]string{"host all all all reject"}), name+" could not be read")
			b.add(Entry{Name: name, Fate: Refused, Note: err.Error() + "; nobody may connect until you give auth.hba"})
			return
		}
		b.out.set("auth.hba_file", text(name), "read as it is")
	default:
		b.out.set("auth.hba", list([]string{"host all all all reject"}), "auth_type "+kind)
		b.add(Entry{Name: "auth_type", Fate: Refused, Note: kind + " is not taken over; nobody may connect until you give auth.hba (ldap is a method there)"})
	}
}

// readUserList reads auth_file, which howdah goes on to use.
func (b *bouncer) readUserList() {
	name := b.files.Passwd
	if name == "" {
		if name = b.values["auth_file"].value; name == "" {
			return
		}
		name = b.beside(name)
	}
	data, err := b.files.Open(name)
	if err == nil {
		_, err = auth.ParsePasswd(name, bytes.NewReader(data), nil)
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			b.add(Entry{Name: name, Fate: Refused, Note: line})
		}
		return
	}
	for line := range strings.Lines(string(data)) {
		if fields := quoted(line); len(fields) == 2 && !strings.HasPrefix(fields[1], "md5") && !strings.HasPrefix(fields[1], "SCRAM-SHA-256$") {
			b.passwords[fields[0]] = fields[1]
		}
	}
	b.out.set("auth.passwd_file", text(name), "read as it is")
	b.add(Entry{Name: name, Fate: Taken, To: "auth.passwd_file", Note: "read as it is"})
}

// quoted are the two "…" of a line of userlist.txt.
func quoted(line string) []string {
	var fields []string
	for len(fields) < 2 {
		start := strings.IndexByte(line, '"')
		if start < 0 {
			return fields
		}
		var field strings.Builder
		i := start + 1
		for ; i < len(line); i++ {
			if line[i] == '"' {
				if i+1 < len(line) && line[i+1] == '"' {
					i++
				} else {
					break
				}
			}
			field.WriteByte(line[i])
		}
		fields, line = append(fields, field.String()), line[min(i+1, len(line)):]
	}
	return fields
}

// iniSetting is a setting with its section.
type iniSetting struct {
	setting
	section string
}

// iniReader reads PgBouncer's syntax: sections, key = value, comments with ; or #, %include.
type iniReader struct {
	open     func(string) ([]byte, error)
	section  string
	settings []iniSetting
	problems []string
}

func (r *iniReader) read(name string, data []byte, depth int) {
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		place := fmt.Sprintf("%s:%d", path.Base(name), n)
		switch {
		case line == "" || line[0] == ';' || line[0] == '#':
		case strings.HasPrefix(line, "%include"):
			file := strings.TrimSpace(strings.TrimPrefix(line, "%include"))
			if depth >= 10 {
				r.problems = append(r.problems, place+": too many includes in includes")
				continue
			}
			if !path.IsAbs(file) {
				file = path.Join(path.Dir(name), file)
			}
			text, err := r.open(file)
			if err != nil {
				r.problems = append(r.problems, place+": "+err.Error())
				continue
			}
			r.read(file, text, depth+1)
		case line[0] == '[' && line[len(line)-1] == ']':
			r.section = strings.ToLower(strings.TrimSpace(line[1 : len(line)-1]))
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || r.section == "" {
				r.problems = append(r.problems, place+": neither a section nor a setting in one")
				continue
			}
			if len(r.settings) >= maxSettings {
				r.problems = append(r.problems, place+": too many settings")
				return
			}
			key = strings.TrimSpace(key)
			if r.section == "pgbouncer" {
				key = strings.ToLower(key)
			}
			r.settings = append(r.settings, iniSetting{setting{name: strings.Trim(key, `"`), value: strings.TrimSpace(value), file: name, line: n}, r.section})
		}
	}
}

// connection reads key=value pairs, whose values may be in '…' with ” for a quote.
func connection(text string) (map[string]string, error) {
	all := map[string]string{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		key, rest, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("%q is no key=value", text)
		}
		key, rest = strings.TrimSpace(key), strings.TrimLeft(rest, " \t")
		var value strings.Builder
		i := 0
		if strings.HasPrefix(rest, "'") {
			for i = 1; i < len(rest); i++ {
				if rest[i] == '\'' {
					if i+1 >= len(rest) || rest[i+1] != '\'' {
						break
					}
					i++
				}
				value.WriteByte(rest[i])
			}
			if i >= len(rest) {
				return nil, fmt.Errorf("%s has no closing quote", key)
			}
			i++
		} else {
			for ; i < len(rest) && rest[i] != ' ' && rest[i] != '\t'; i++ {
				value.WriteByte(rest[i])
			}
		}
		all[key], text = value.String(), rest[i:]
	}
	return all, nil
}

// sortedKeys are a connection's keys in order, so that reports do not change.
func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
