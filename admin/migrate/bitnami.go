package migrate

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// bitnamiVariables are the variables of bitnami's image that stand for one parameter of Pgpool-II.
var bitnamiVariables = map[string]string{
	"PORT_NUMBER": "port", "SR_CHECK_PERIOD": "sr_check_period", "SR_CHECK_USER": "sr_check_user", "SR_CHECK_PASSWORD": "sr_check_password", "SR_CHECK_DATABASE": "sr_check_database",
	"ENABLE_LOG_CONNECTIONS": "log_connections", "ENABLE_LOG_HOSTNAME": "log_hostname", "ENABLE_LOG_PER_NODE_STATEMENT": "log_per_node_statement", "LOG_LINE_PREFIX": "log_line_prefix",
	"ENABLE_LOG_PCP_PROCESSES": "log_pcp_processes", "CLIENT_MIN_MESSAGES": "client_min_messages", "LOG_MIN_MESSAGES": "log_min_messages",
	"ENABLE_LOAD_BALANCING": "load_balance_mode", "ENABLE_STATEMENT_LOAD_BALANCING": "statement_level_load_balance", "DISABLE_LOAD_BALANCE_ON_WRITE": "disable_load_balance_on_write",
	"NUM_INIT_CHILDREN": "num_init_children", "RESERVED_CONNECTIONS": "reserved_connections", "MAX_POOL": "max_pool", "CHILD_MAX_CONNECTIONS": "child_max_connections",
	"CHILD_LIFE_TIME": "child_life_time", "CONNECTION_LIFE_TIME": "connection_life_time", "CLIENT_IDLE_LIMIT": "client_idle_limit", "CONNECT_TIMEOUT": "connect_timeout",
	"HEALTH_CHECK_USER": "health_check_user", "HEALTH_CHECK_PASSWORD": "health_check_password", "HEALTH_CHECK_PERIOD": "health_check_period", "HEALTH_CHECK_TIMEOUT": "health_check_timeout",
	"HEALTH_CHECK_MAX_RETRIES": "health_check_max_retries", "HEALTH_CHECK_RETRY_DELAY": "health_check_retry_delay", "AUTO_FAILBACK": "auto_failback",
	"FAILOVER_ON_BACKEND_SHUTDOWN": "failover_on_backend_shutdown", "FAILOVER_ON_BACKEND_ERROR": "failover_on_backend_error", "ENABLE_SHARED_RELCACHE": "enable_shared_relcache", "ENABLE_CONNECTION_CACHE": "connection_cache",
	"ENABLE_TLS": "ssl", "TLS_CERT_FILE": "ssl_cert", "TLS_KEY_FILE": "ssl_key", "TLS_CA_FILE": "ssl_ca_cert", "TLS_PREFER_SERVER_CIPHERS": "ssl_prefer_server_ciphers",
}

// bitnamiNotes say what to do about the others.
var bitnamiNotes = map[string]Entry{
	"POSTGRES_USERNAME": {Fate: ByHand, Note: `write it and its password into a file "NAME" "PASSWORD", and name that as auth.passwd_file`}, "POSTGRES_PASSWORD": {Fate: ByHand, Note: "see PGPOOL_POSTGRES_USERNAME"},
	"POSTGRES_CUSTOM_USERS": {Fate: ByHand, Note: `write them and their passwords into a file "NAME" "PASSWORD", and name that as auth.passwd_file`}, "POSTGRES_CUSTOM_PASSWORDS": {Fate: ByHand, Note: "see PGPOOL_POSTGRES_CUSTOM_USERS"},
	"PASSWD_FILE": {Fate: ByHand, Note: "auth.passwd_file"}, "USER_HBA_FILE": {Fate: ByHand, Note: "auth.hba_file"}, "USER_CONF_FILE": {Fate: ByHand, Note: "import that file too, and join the two"},
	"ADMIN_USERNAME": {Fate: ByHand, Note: "write it and the MD5 of its password into a pcp.conf, and name that as admin.users_file"}, "ADMIN_PASSWORD": {Fate: ByHand, Note: "see PGPOOL_ADMIN_USERNAME"},
	"AUTHENTICATION_METHOD": {Fate: Taken, To: "auth.hba"}, "AES_KEY": {Fate: ByHand, Note: "auth.key_file"},
	"ENABLE_LDAP": {Fate: ByHand, Note: "ldap is a method of auth.hba, with PostgreSQL's options"}, "ENABLE_POOL_HBA": {Fate: Unneeded, Note: "howdah always asks by its own rules"},
	"ENABLE_POOL_PASSWD": {Fate: Unneeded, Note: "auth.passwd_file, or auth.query"}, "TIMEOUT": {Fate: Unneeded, Note: "howdah starts without its servers"},
	"DISCARD_STATUS": {Fate: Unneeded, Note: "there is no pgpool_status: the servers are asked what they are"},
	"DAEMON_USER":    {Fate: Unneeded, Note: "the service manager says who runs howdah"}, "DAEMON_GROUP": {Fate: Unneeded, Note: "see PGPOOL_DAEMON_USER"},
	"HEALTH_CHECK_PSQL_TIMEOUT": {Fate: Unneeded, Note: "ask /healthz or /readyz (admin.http)"}, "EXTRA_FLAGS": {Fate: Unneeded, Note: "howdah has no such options"},
	"BACKEND_APPLICATION_NAMES": {Fate: Taken, To: "backends[].name"}, "BACKEND_NODES": {Fate: Taken, To: "backends"},
}

// bitnamiPaths are what the image sets itself, as seen in the environment of a running one.
var bitnamiPaths = regexp.MustCompile(`^([A-Z]+_)*DIR$|^(CONF|PCP_CONF|PGHBA|LOG|PID)_FILE$`)

// IsBitnami says whether a file holds the variables of bitnami's image, as for docker's --env-file.
func IsBitnami(conf []byte) bool {
	for line := range strings.Lines(string(conf)) {
		if _, _, ok := variable(line); ok {
			return true
		}
	}
	return false
}

// variable reads a line NAME=value of PGPOOL_ variables, which may be exported and quoted.
func variable(line string) (name, value string, ok bool) {
	line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "export "))
	name, value, ok = strings.Cut(line, "=")
	name, ok2 := strings.CutPrefix(name, "PGPOOL_")
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	return name, value, ok && ok2
}

// ImportBitnami reads a file of the variables of bitnami's image of Pgpool-II.
func ImportBitnami(files Files) (*Result, error) {
	conf, err := files.Open(files.Conf)
	if err != nil {
		return nil, fmt.Errorf("read the variables: %w", err)
	}
	b := bitnami{files: files, method: "scram-sha-256"}
	n := 0
	for line := range strings.Lines(string(conf)) {
		n++
		if name, value, ok := variable(line); ok && n <= maxSettings {
			b.take(name, setting{file: files.Conf, line: n, value: value})
		}
	}
	// What the image sets without being asked.
	var image []setting
	for _, s := range [][2]string{{"listen_addresses", "*"}, {"port", "5432"}, {"authentication_timeout", "30"}} {
		image = append(image, setting{name: s[0], value: s[1], file: files.Conf, line: max(b.nodes.line, 1)})
	}
	settings := append(image, b.settings...)
	return importSettings(files, append(settings, b.backends()...), nil, b.report, b.method)
}

// bitnami is what the variables of the image say.
type bitnami struct {
	files    Files
	settings []setting // as those of pgpool.conf
	report   Report
	nodes    setting
	names    []string
	method   string // of logins
}

// take takes over one variable.
func (b *bitnami) take(name string, s setting) {
	if to, known := bitnamiVariables[name]; known {
		if on, isSwitch := switchOf(s.value); isSwitch && len(s.value) > 1 {
			s.value = map[bool]string{true: "on", false: "off"}[on]
		}
		s.name = to
		b.settings = append(b.settings, s)
		return
	}
	e, known := bitnamiNotes[name]
	whole, inFile := strings.CutSuffix(name, "_FILE")
	_, ofSetting := bitnamiVariables[whole]
	_, ofNote := bitnamiNotes[whole]
	switch {
	case known:
	case inFile && (ofSetting || ofNote):
		data, err := b.files.Open(s.value)
		if err == nil {
			s.value = strings.TrimRight(string(data), "\n")
			b.take(whole, s)
			return
		}
		e = Entry{Fate: ByHand, Note: "cannot be read here (" + err.Error() + "); see PGPOOL_" + whole}
	case bitnamiPaths.MatchString(name):
		e = Entry{Fate: Unneeded, Note: "a path inside the image"}
	default:
		e = Entry{Fate: Refused, Note: "no variable of the image; check the spelling"}
	}
	switch name {
	case "BACKEND_NODES":
		b.nodes = s
	case "BACKEND_APPLICATION_NAMES":
		b.names = listed(s.value)
	case "AUTHENTICATION_METHOD":
		if s.value == "md5" {
			b.method = s.value
		} else if s.value != b.method {
			e.Fate, e.Note = Refused, "is neither scram-sha-256 nor md5"
		}
	}
	e.Name, e.Place = "PGPOOL_"+name, s.place()
	b.report = append(b.report, e)
}

// listed cuts a list as the image does.
func listed(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(",; ", r) })
}

// backends are the settings of PGPOOL_BACKEND_NODES: 0:host[:port[:weight[:directory[:flag]]]], …
func (b *bitnami) backends() []setting {
	var settings []setting
	for i, item := range listed(b.nodes.value) {
		fields := strings.Split(item, ":")
		if len(fields) < 2 || fields[1] == "" {
			b.report = append(b.report, Entry{Name: "PGPOOL_BACKEND_NODES", Place: b.nodes.place(), Fate: Refused, Note: fmt.Sprintf("%q is not number:host:port", item)})
			continue
		}
		for len(fields) < 6 {
			fields = append(fields, "")
		}
		add := func(name, value string) {
			if value != "" {
				settings = append(settings, setting{name: name + fields[0], value: value, file: b.nodes.file, line: b.nodes.line})
			}
		}
		add("backend_hostname", fields[1])
		add("backend_port", cmp.Or(fields[2], "5432"))
		add("backend_weight", cmp.Or(fields[3], "1"))
		add("backend_data_directory", fields[4])
		add("backend_flag", fields[5])
		if i < len(b.names) {
			add("backend_application_name", b.names[i])
		}
	}
	return settings
}
