package configs

import (
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

const (
	// maxBackends is Pgpool-II's limit too (MAX_NUM_BACKENDS).
	maxBackends = 128
	// maxNameBytes is PostgreSQL's limit for identifiers.
	maxNameBytes = 63
	// maxSocketPath is the longest Unix socket path on Linux (sun_path less its zero).
	maxSocketPath = 107
)

// Validate reports everything that is wrong with a Config made by a program, as
// a Faults; Load and Parse have done so already.
func (c *Config) Validate() error {
	list := newFaultList("")
	validate(c, list)
	return list.err()
}

// validate adds what is wrong with the values of c. Keys that have a fault
// already are not looked at.
func validate(c *Config, list *faultList) {
	walk(reflect.ValueOf(c).Elem(), func(key string, v reflect.Value, tag reflect.StructTag) {
		if !list.isBad(key) {
			checkTags(list, key, v, tag)
		}
	})
	validateListen(&c.Listen, list)
	validateBackends(c, list)
	validateAuth(c, list)
	validateTLS(c, list)
	for i, text := range c.ProxyProtocol.From {
		key := fmt.Sprintf("proxy_protocol.from[%d]", i)
		if _, err := parseNetwork(text); err != nil && !list.isBad(key) {
			list.addAt(key, strconv.Quote(shorten(text))+" is not a network", "write an IP address, with or without a prefix, as in 10.0.0.0/24")
		}
	}
	validateRouting(&c.Routing, list)
	validateDependencies(c.Routing.DMLDependencies, list)
	validateRedirects(c, list)
	validatePool(&c.Pool, list)
	if l := &c.Limits; l.ReservedClients >= l.MaxClients && !list.isBad("limits.reserved_clients") && !list.isBad("limits.max_clients") {
		list.addAt("limits.reserved_clients", fmt.Sprintf("leaves none of %d clients for others than superusers", l.MaxClients), "give fewer than limits.max_clients")
	}
	validateFailover(&c.Failover, list)
	validateVIP(&c.VIP, list)
	validateAdmin(c, list)
	validateWatchdog(&c.Watchdog, list)
	validatePair(c, list)
	needText(list, "log.syslog.ident", c.Log.Syslog.Ident, "it is the program's name in syslog's lines")
	if s := &c.Log.Syslog; (s.Network == "") != (s.Address == "") && !list.isBad("log.syslog.network") {
		list.addAt("log.syslog", "has one of network and address", "give both for another host's syslog, none for this one's")
	}
	needText(list, "replication_check.user", c.ReplicationCheck.User, "howdah logs in as this user to watch the servers")
	needText(list, "replication_check.database", c.ReplicationCheck.Database, "howdah logs in there to watch the servers")
}

// walk calls visit for every key that is not a section, with its path and the
// tags of its field. A list of texts is one key.
func walk(v reflect.Value, visit func(key string, v reflect.Value, tag reflect.StructTag)) {
	walkFrom(v, "", "", visit)
}

func walkFrom(v reflect.Value, key string, tag reflect.StructTag, visit func(string, reflect.Value, reflect.StructTag)) {
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			walkFrom(v.Field(i), joinKey(key, f.Tag.Get("yaml")), f.Tag, visit)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			walkFrom(v.Index(i), fmt.Sprintf("%s[%d]", key, i), tag, visit)
		}
	default:
		visit(key, v, tag)
	}
}

// checkTags holds a value against the enum, min and max of its field.
func checkTags(list *faultList, key string, v reflect.Value, tag reflect.StructTag) {
	if enum := tag.Get("enum"); enum != "" {
		checkEnum(list, key, v.String(), strings.Split(enum, ","))
	}
	if v.Kind() == reflect.Float64 && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)) {
		list.addAt(key, "is not a finite number", "write a number, as in 1 or 0.5")
		return
	}
	lowest, highest := tag.Get("min"), tag.Get("max")
	tooLow := lowest != "" && less(v, bound(v.Type(), lowest))
	tooHigh := highest != "" && less(bound(v.Type(), highest), v)
	switch {
	case (tooLow || tooHigh) && lowest != "" && highest != "":
		list.addAt(key, formatValue(v)+" is out of range", "write a value from "+lowest+" to "+highest)
	case tooLow:
		list.addAt(key, formatValue(v)+" is too small", "write at least "+lowest)
	case tooHigh:
		list.addAt(key, formatValue(v)+" is too large", "write at most "+highest)
	}
}

// bound is the value that a min or max tag says. A tag that cannot be read is a
// mistake in this package.
func bound(t reflect.Type, text string) reflect.Value {
	v := reflect.New(t).Elem()
	if err := setScalar(v, text); err != nil {
		panic(fmt.Sprintf("configs: bound %q: %v", text, err))
	}
	return v
}

func less(a, b reflect.Value) bool {
	switch {
	case a.CanInt():
		return a.Int() < b.Int()
	case a.CanUint():
		return a.Uint() < b.Uint()
	}
	return a.Float() < b.Float()
}

func checkEnum(list *faultList, key, value string, known []string) {
	for _, k := range known {
		if value == k {
			return
		}
	}
	advice := "write one of " + strings.Join(known, ", ")
	if near := nearest(strings.ToLower(value), known); near != "" {
		advice = fmt.Sprintf("did you mean %s? (%s)", near, strings.Join(known, ", "))
	}
	list.addAt(key, strconv.Quote(shorten(value))+" is not a known value", advice)
}

// needText reports a text that is blank.
func needText(list *faultList, key, value, why string) {
	if strings.TrimSpace(value) == "" && !list.isBad(key) {
		list.addAt(key, "is empty", why)
	}
}

func validateListen(l *Listen, list *faultList) {
	if len(l.Addresses) == 0 && len(l.UnixDirs) == 0 && !list.isBad("listen.addresses") && !list.isBad("listen.unix_dirs") {
		list.addAt("listen", "has neither addresses nor unix_dirs", "give at least one, or nobody can connect")
	}
	seen := map[string]bool{}
	for i, address := range l.Addresses {
		key := fmt.Sprintf("listen.addresses[%d]", i)
		switch {
		case list.isBad(key):
		case address == "*" && len(l.Addresses) > 1:
			list.addAt(key, "* is every address, the others are covered by it", "remove either * or the others")
		case seen[strings.ToLower(address)]:
			list.addAt(key, shorten(address)+" is given twice", "remove one of them")
		case address != "*":
			checkHost(list, key, address)
		}
		seen[strings.ToLower(address)] = true
	}
	for i, dir := range l.UnixDirs {
		key := fmt.Sprintf("listen.unix_dirs[%d]", i)
		path := filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(l.Port))
		switch {
		case list.isBad(key):
		case !filepath.IsAbs(dir):
			list.addAt(key, strconv.Quote(shorten(dir))+" is a relative path", "write it from the root, as in /run/howdah")
		case len(path) > maxSocketPath:
			list.addAt(key, fmt.Sprintf("the socket's path %s has more than %d bytes", shorten(path), maxSocketPath), "use a shorter directory")
		case seen[path]:
			list.addAt(key, shorten(dir)+" is given twice", "remove one of them")
		}
		seen[path] = true
	}
}

// checkHost reports what is neither a host name nor an IP address.
func checkHost(list *faultList, key, host string) {
	if _, err := netip.ParseAddr(host); err == nil {
		return
	}
	shown := strconv.Quote(shorten(host))
	_, portErr := netip.ParseAddrPort(host)
	name, _, hasColon := strings.Cut(host, ":")
	switch {
	case host == "":
		list.addAt(key, "is empty", "write a host name or an IP address")
	case strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]"):
		list.addAt(key, shown+" has brackets", "write the IPv6 address alone")
	case portErr == nil || hasColon && !strings.Contains(host, "/") && isHostName(name):
		list.addAt(key, shown+" has a port in it", "write the port under port")
	case !isHostName(host):
		list.addAt(key, shown+" is neither a host name nor an IP address", "a Unix socket's directory begins with /")
	}
}

// isHostName takes underscores too: container networks use them.
func isHostName(s string) bool {
	return len(s) <= 253 && isWord(s)
}

// isWord says whether s has only letters, digits, dots, hyphens and underscores,
// and at least one.
func isWord(s string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
		default:
			return false
		}
	}
	return s != ""
}

func validateBackends(c *Config, list *faultList) {
	switch n := len(c.Backends); {
	case list.isBad("backends"):
		return
	case n == 0 && c.Watchdog.IsWitness():
	case n == 0:
		list.addAt("backends", "names no server", "list the PostgreSQL servers: - {name: pg0, host: 127.0.0.1, port: 5432}")
	case n > maxBackends:
		list.addAt("backends", fmt.Sprintf("names %d servers", n), fmt.Sprintf("list at most %d", maxBackends))
		return
	}
	names, servers := map[string]int{}, map[string]int{}
	for i := range c.Backends {
		b, key := &c.Backends[i], fmt.Sprintf("backends[%d]", i)
		if !list.isBad(key + ".name") {
			checkBackendName(list, key+".name", b.Name, names)
			names[b.Name] = i
		}
		if list.isBad(key + ".host") {
			continue
		}
		switch {
		case b.Host == "":
			list.addAt(key+".host", "is missing", "write where the server is: a host name, an IP address or its Unix socket's directory")
			continue
		case !strings.HasPrefix(b.Host, "/"):
			checkHost(list, key+".host", b.Host)
		}
		if list.isBad(key+".host") || list.isBad(key+".port") {
			continue
		}
		if first, twice := servers[b.server()]; twice {
			list.addAt(key+".host", fmt.Sprintf("%s port %d is also backends[%d]", shorten(b.Host), b.Port, first), "list every server once")
		}
		servers[b.server()] = i
		if isSelf(&c.Listen, b) {
			list.addAt(key+".host", fmt.Sprintf("%s port %d is where howdah itself listens", shorten(b.Host), b.Port),
				"write the PostgreSQL server's own address and port")
		}
	}
}

// server is where the backend is, in one spelling.
func (b *Backend) server() string {
	host := strings.ToLower(b.Host)
	if strings.HasPrefix(host, "/") {
		host = filepath.Clean(b.Host)
	} else if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.Unmap().String()
	}
	return host + " " + strconv.Itoa(b.Port)
}

func checkBackendName(list *faultList, key, name string, names map[string]int) {
	first, twice := names[name]
	switch {
	case name == "":
		list.addAt(key, "is missing", "give the server a name of its own, as in pg0")
	case name == "primary" || name == "standby":
		list.addAt(key, name+" is a role, which may change", "give the server a name of its own, as in pg0")
	case !isWord(name) || len(name) > maxNameBytes:
		list.addAt(key, strconv.Quote(shorten(name))+" is not a name",
			fmt.Sprintf("use letters, digits, dots, hyphens and underscores, at most %d", maxNameBytes))
	case twice:
		list.addAt(key, fmt.Sprintf("%s is also the name of backends[%d]", name, first), "give every server a name of its own")
	}
}

// isSelf says whether a backend is certainly howdah's own socket: it would
// connect to itself until nothing is left.
func isSelf(l *Listen, b *Backend) bool {
	if b.Port != l.Port {
		return false
	}
	if strings.HasPrefix(b.Host, "/") {
		for _, dir := range l.UnixDirs {
			if filepath.Clean(dir) == filepath.Clean(b.Host) {
				return true
			}
		}
		return false
	}
	host, err := netip.ParseAddr(b.Host)
	loopback := strings.EqualFold(b.Host, "localhost") || err == nil && host.IsLoopback()
	for _, address := range l.Addresses {
		bound, err := netip.ParseAddr(address)
		everywhere := address == "*" || err == nil && bound.IsUnspecified()
		if strings.EqualFold(address, b.Host) || loopback && everywhere {
			return true
		}
	}
	return false
}

func validateAuth(c *Config, list *faultList) {
	a := &c.Auth
	hbaKnown := !list.isBad("auth.hba") && !list.isBad("auth.hba_file")
	switch {
	case !hbaKnown:
	case len(a.HBA) == 0 && a.HBAFile == "" && c.Watchdog.IsWitness():
	case len(a.HBA) == 0 && a.HBAFile == "":
		list.addAt("auth", "has neither hba nor hba_file", `say who may connect: hba: ["host all all 127.0.0.1/32 scram-sha-256"]`)
	case len(a.HBA) > 0 && a.HBAFile != "":
		list.addAt("auth.hba_file", "is given beside hba", "keep one of the two")
	}
	for i, line := range a.HBA {
		if key := fmt.Sprintf("auth.hba[%d]", i); strings.ContainsAny(strings.TrimRight(line, "\r\n"), "\r\n") && !list.isBad(key) {
			list.addAt(key, "has more than one line", "write every rule as an entry of its own")
		}
	}
	if len(a.Ident) > 0 && a.IdentFile != "" && !list.isBad("auth.ident_file") {
		list.addAt("auth.ident_file", "is given beside ident", "keep one of the two")
	}
	if a.KeyFile != "" && a.PasswdFile == "" && !list.isBad("auth.passwd_file") {
		list.addAt("auth.key_file", "is given without passwd_file", "it decrypts secrets of a passwd_file, give that or remove this")
	}
	if list.isBad("auth.query.user") {
		return
	}
	if a.Query.User == "" {
		if a.Query.Password != "" {
			list.addAt("auth.query.password", "is given without user", "give the user to ask as, or remove the password")
		}
		return
	}
	needText(list, "auth.query.database", a.Query.Database, "auth.query needs a database to ask in")
	if !list.isBad("auth.query.sql") && !strings.Contains(a.Query.SQL, "$1") {
		list.addAt("auth.query.sql", "has no $1", "write $1 where the user's name belongs")
	}
}

func validateRouting(r *Routing, list *faultList) {
	checkPatterns(list, "routing.functions.read_only", r.Functions.ReadOnly)
	checkPatterns(list, "routing.functions.write", r.Functions.Write)
	checkPatterns(list, "routing.primary_patterns", r.PrimaryPatterns)
}

// checkPatterns reports what is not a regular expression, or matches everything by accident.
func checkPatterns(list *faultList, key string, patterns []string) {
	for i, text := range patterns {
		at := fmt.Sprintf("%s[%d]", key, i)
		if list.isBad(at) {
			continue
		}
		if strings.TrimSpace(text) == "" {
			list.addAt(at, "is empty", "write a regular expression, or remove the entry")
			continue
		}
		if _, err := regexp.Compile(text); err != nil {
			what := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
			list.addAt(at, shorten(what), "write a regular expression in RE2's syntax, which has neither backreferences nor lookaround")
		}
	}
}

func validateFailover(f *Failover, list *faultList) {
	if ways := [3]bool{len(f.Recovery) > 0, f.RecoveryScript != "", len(f.RecoveryShell) > 0}; ways[0] && (ways[1] || ways[2]) || ways[1] && ways[2] {
		list.addAt("failover.recovery", "is one of two ways to recover a node", "keep one of recovery, recovery_script and recovery_shell")
	}
	if strings.ContainsAny(f.RecoveryScript, "/\x00") {
		list.addAt("failover.recovery_script", "has a slash", "write the name of a file in the primary's data directory")
	}
	if f.Mode == "command" && len(f.Command) == 0 && !list.isBad("failover.mode") && !list.isBad("failover.command") {
		list.addAt("failover.mode", "is command, and there is no failover.command", "write the command that promotes a standby, or choose native or none")
	}
	for key, command := range map[string]Command{"command": f.Command, "follow_primary": f.FollowPrimary, "failback": f.Failback, "fence": f.Fence, "recovery": f.Recovery, "recovery_shell": f.RecoveryShell} {
		if len(command) > 0 && !filepath.IsAbs(command[0]) {
			list.addAt("failover."+key, strconv.Quote(shorten(command[0]))+" is not an absolute path", "write the program's whole path; or write the command as one text for the shell")
		}
	}
}
