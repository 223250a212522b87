package configs_test

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"gopkg.in/yaml.v3"
)

// The defaults are a promise to users: this table is changed together with the
// sample file and the release notes.
func TestDefaults(t *testing.T) {
	want := map[string]any{
		"listen.addresses":                   []string{"127.0.0.1"},
		"listen.port":                        9999,
		"listen.unix_dirs":                   []string(nil),
		"listen.unix_mode":                   configs.FileMode(0o777),
		"backends":                           []configs.Backend(nil),
		"auth.hba":                           []string(nil),
		"auth.hba_file":                      "",
		"auth.ident":                         []string(nil),
		"auth.ident_file":                    "",
		"auth.clear_text":                    "tls",
		"auth.ldap_ca":                       "",
		"auth.passwd_file":                   "",
		"auth.key_file":                      "",
		"auth.query.sql":                     "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin",
		"auth.query.user":                    "",
		"auth.query.password":                "",
		"auth.query.database":                "postgres",
		"auth.verify_interval":               time.Minute,
		"tls.client.mode":                    "allow",
		"tls.client.cert":                    "",
		"tls.client.key":                     "",
		"tls.client.ca":                      "",
		"tls.client.crl":                     "",
		"tls.client.min_version":             "TLSv1.2",
		"tls.client.max_version":             "",
		"tls.client.ciphers":                 []string(nil),
		"tls.client.curves":                  []string(nil),
		"tls.backend.mode":                   "prefer",
		"tls.backend.ca":                     "",
		"tls.backend.crl":                    "",
		"tls.backend.cert":                   "",
		"tls.backend.key":                    "",
		"tls.backend.min_version":            "TLSv1.2",
		"proxy_protocol.from":                []string(nil),
		"pool.mode":                          "session",
		"pool.rules":                         []configs.PoolRule(nil),
		"pool.max_per_node":                  0,
		"pool.max_per_user":                  0,
		"pool.min_per_user":                  0,
		"pool.max_logins":                    20,
		"pool.notice_after":                  5 * time.Second,
		"pool.max_prepared":                  200,
		"pool.max_waiters":                   10_000,
		"pool.backend_pids":                  "own",
		"pool.application_name_add_host":     false,
		"pool.wait_timeout":                  30 * time.Second,
		"pool.idle_timeout":                  10 * time.Minute,
		"pool.max_age":                       time.Hour,
		"pool.reset_query":                   "DISCARD ALL",
		"routing.balance":                    "session",
		"routing.choice":                     "weight",
		"routing.transactions":               "until_write",
		"routing.after_write":                "transaction",
		"routing.dml_dependencies":           []string(nil),
		"routing.consistency":                "session",
		"routing.consistency_wait":           time.Duration(0),
		"routing.tracked_relations":          1 << 16,
		"routing.comments":                   "hint",
		"routing.redirect":                   []configs.Redirect(nil),
		"watchdog.cluster":                   "",
		"watchdog.name":                      "",
		"watchdog.data_dir":                  "",
		"watchdog.keys":                      "",
		"watchdog.profile":                   "lan",
		"watchdog.peers":                     []configs.Peer(nil),
		"watchdog.escalation_command":        []string(nil),
		"watchdog.deescalation_command":      []string(nil),
		"watchdog.command_timeout":           30 * time.Second,
		"watchdog.trusted_servers":           []string(nil),
		"watchdog.interfaces":                []string(nil),
		"watchdog.pair.database_lock":        true,
		"watchdog.pair.on_loss":              "wait",
		"watchdog.pair.after":                10 * time.Second,
		"watchdog.pair.self_fence_after":     5 * time.Second,
		"watchdog.pair.fence":                []string(nil),
		"routing.lesson_ttl":                 10 * time.Minute,
		"routing.cache_size":                 configs.ByteSize(64 << 20),
		"routing.functions.read_only":        []string(nil),
		"routing.functions.write":            []string(nil),
		"routing.primary_patterns":           []string(nil),
		"catalog.ttl":                        time.Minute,
		"catalog.size":                       configs.ByteSize(64 << 20),
		"catalog.foreign_tables":             "primary",
		"replication_check.interval":         100 * time.Millisecond,
		"replication_check.idle_interval":    500 * time.Millisecond,
		"replication_check.max_lag_bytes":    configs.ByteSize(0),
		"replication_check.max_lag":          time.Duration(0),
		"replication_check.prefer_lower_lag": false,
		"replication_check.timeout":          time.Second,
		"replication_check.silences":         3,
		"replication_check.fresh_interval":   5 * time.Second,
		"replication_check.user":             "postgres",
		"replication_check.password":         "",
		"replication_check.database":         "postgres",
		"failover.hold":                      30 * time.Second,
		"failover.max_held":                  10_000,
		"vip.mode":                           "none",
		"vip.addresses":                      []string(nil),
		"vip.interface":                      "",
		"vip.label":                          "",
		"vip.takeover":                       "fast",
		"vip.lifetime":                       2 * time.Second,
		"vip.refresh":                        500 * time.Millisecond,
		"vip.probe_wait":                     100 * time.Millisecond,
		"vip.announce_interval":              30 * time.Second,
		"vip.guardian":                       true,
		"vip.reset_clients":                  true,
		"vip.commands.up":                    configs.Command(nil),
		"vip.commands.down":                  configs.Command(nil),
		"vip.commands.announce":              configs.Command(nil),
		"vip.commands.timeout":               10 * time.Second,
		"vip.hook.command":                   configs.Command(nil),
		"vip.hook.timeout":                   30 * time.Second,
		"failover.mode":                      "none",
		"failover.confirm":                   time.Second,
		"failover.shutdown_grace":            10 * time.Second,
		"failover.recovery_grace":            10 * time.Second,
		"failover.isolated_after":            time.Duration(0),
		"failover.cooldown":                  30 * time.Second,
		"failover.require_sync":              true,
		"failover.max_loss":                  configs.ByteSize(0),
		"failover.command":                   configs.Command(nil),
		"failover.follow_primary":            configs.Command(nil),
		"failover.failback":                  configs.Command(nil),
		"failover.fence":                     configs.Command(nil),
		"failover.recovery":                  configs.Command(nil),
		"failover.recovery_script":           "",
		"failover.recovery_database":         "template1",
		"failover.recovery_shell":            configs.Command(nil),
		"failover.hook_timeout":              time.Minute,
		"failover.recovery_timeout":          time.Hour,
		"failover.tries":                     3,
		"failover.search_timeout":            5 * time.Minute,
		"failover.switchover_wait":           10 * time.Second,
		"failover.soft_fence":                false,
		"failover.resolve_commits":           false,
		"failover.state_file":                "",
		"failover.auto_failback":             true,
		"failover.hold_down":                 time.Second,
		"limits.max_clients":                 10_000,
		"limits.reserved_clients":            0,
		"limits.max_db_client_connections":   0,
		"limits.max_user_client_connections": 0,
		"pool.max_db_connections":            0,
		"pool.max_user_connections":          0,
		"pool.reserved_per_node":             0,
		"limits.max_unauthenticated":         0,
		"limits.login_rate":                  0,
		"limits.failed_login_rate":           10,
		"auth.fail_delay":                    time.Duration(0),
		"limits.max_statements":              10_000,
		"limits.max_statement_memory":        configs.ByteSize(32 << 20),
		"limits.threads":                     0,
		"limits.io_uring":                    true,
		"limits.max_buffered":                configs.ByteSize(1 << 20),
		"timeouts.auth":                      time.Minute,
		"timeouts.connect":                   10 * time.Second,
		"timeouts.client_idle":               time.Duration(0),
		"timeouts.client_check":              10 * time.Second,
		"timeouts.drain":                     30 * time.Second,
		"admin.socket":                       "",
		"admin.users_file":                   "",
		"admin.readers":                      []string(nil),
		"admin.pgpool_version":               "4.3",
		"admin.pcp.addresses":                []string(nil),
		"admin.pcp.port":                     9898,
		"admin.pcp.unix_dirs":                []string(nil),
		"admin.http.addresses":               []string(nil),
		"admin.http.port":                    9897,
		"admin.http.cert_file":               "",
		"admin.http.key_file":                "",
		"admin.http.anonymous":               false,
		"log.level":                          "info",
		"log.format":                         "text",
		"log.notice_per_node_statement":      false,
		"log.per_node_statement":             false,
		"log.statements":                     false,
		"log.client_messages":                false,
		"log.connections":                    false,
		"log.disconnections":                 false,
		"log.hostname":                       false,
		"log.destination":                    "stderr",
		"log.file":                           "/var/log/howdah/howdah.log",
		"log.file_mode":                      configs.FileMode(0o640),
		"log.server_messages":                "none",
		"log.syslog.facility":                "local0",
		"log.syslog.ident":                   "howdah",
		"log.syslog.network":                 "",
		"log.syslog.address":                 "",
		"log.repeat_interval":                10 * time.Second,
	}
	got := settings(reflect.ValueOf(configs.Default()), "")
	for key, value := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("key %s has no default in this table", key)
		} else if !reflect.DeepEqual(value, want[key]) {
			t.Errorf("%s: got %#v, want %#v", key, value, want[key])
		}
	}
	if len(want) != len(got) {
		t.Errorf("got %d keys, want %d", len(got), len(want))
	}
	if got, want := configs.DefaultRedirect(), (configs.Redirect{Ratio: 1}); got != want {
		t.Errorf("redirect: got %+v, want %+v", got, want)
	}
	if got, want := configs.DefaultBackend(), (configs.Backend{Port: 5432, Weight: 1, ProxyProtocol: "off", Priority: 100}); got != want {
		t.Errorf("backend: got %+v, want %+v", got, want)
	}
}

// settings lists every key that is not a section, by its path.
func settings(v reflect.Value, path string) map[string]any {
	all := map[string]any{}
	for i := range v.NumField() {
		key := strings.TrimPrefix(path+"."+v.Type().Field(i).Tag.Get("yaml"), ".")
		if v.Field(i).Kind() == reflect.Struct {
			for k, value := range settings(v.Field(i), key) {
				all[k] = value
			}
			continue
		}
		all[key] = v.Field(i).Interface()
	}
	return all
}

// The defaults must pass their own checks, but for what has none.
func TestDefaultIsValid(t *testing.T) {
	cfg := configs.Default()
	cfg.Backends = []configs.Backend{configs.DefaultBackend()}
	cfg.Backends[0].Name, cfg.Backends[0].Host = "pg0", "127.0.0.1"
	cfg.Auth.HBA = []string{"local all all trust"}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateOwnConfig(t *testing.T) {
	cfg := configs.Default()
	cfg.Log.Level = "loud"
	cfg.Backends = []configs.Backend{{Name: "pg0", Host: "a", Port: 1, Weight: -0.5, ProxyProtocol: "off"}}
	want := strings.Join([]string{
		"backends[0].weight: -0.5 is too small; write at least 0",
		`log.level: "loud" is not a known value; write one of debug, info, warn, error`,
		`auth: has neither hba nor hba_file; say who may connect: hba: ["host all all 127.0.0.1/32 scram-sha-256"]`,
	}, "\n")
	if err := cfg.Validate(); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	cfg.Backends[0].Weight = math.NaN()
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "weight: is not a finite number") {
		t.Errorf("weight NaN: got %v", err)
	}
	cfg.Backends = make([]configs.Backend, 129)
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "at most 128") {
		t.Errorf("129 backends: got %v", err)
	}
}

// The sample names every key, with its default.
func TestSample(t *testing.T) {
	cfg, err := configs.Parse("howdah.sample.yml", []byte(configs.Sample))
	if err != nil {
		t.Fatal(err)
	}
	want := configs.Default()
	want.Backends, want.Auth.HBA = cfg.Backends, cfg.Auth.HBA
	if reloadable, needRestart := configs.Changes(&want, cfg); len(reloadable)+len(needRestart) > 0 {
		t.Errorf("not the default: %v %v", reloadable, needRestart)
	}
	if len(cfg.Backends) != 1 {
		t.Fatalf("got %d backends, want one as an example", len(cfg.Backends))
	}
	backend := configs.DefaultBackend()
	backend.Name, backend.Host = cfg.Backends[0].Name, cfg.Backends[0].Host
	if cfg.Backends[0] != backend {
		t.Errorf("backend: got %+v, want %+v", cfg.Backends[0], backend)
	}

	var root yaml.Node
	if err := yaml.Unmarshal([]byte(configs.Sample), &root); err != nil {
		t.Fatal(err)
	}
	named := keysIn(root.Content[0], "")
	for _, key := range keysOf(reflect.TypeFor[configs.Config](), "") {
		// The lists are empty by default; an entry is an example in a comment.
		if i := strings.Index(key, "[0]."); i >= 0 && !strings.HasPrefix(key, "backends") && strings.Contains(configs.Sample, key[i+4:]+": ") {
			continue
		}
		if !slices.Contains(named, key) {
			t.Errorf("the sample does not name %s", key)
		}
	}
}

// keysOf lists the keys of a struct, lists' entries as their first.
func keysOf(typ reflect.Type, path string) []string {
	var keys []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		key := path + f.Tag.Get("yaml")
		keys = append(keys, key)
		switch {
		case f.Type.Kind() == reflect.Struct:
			keys = append(keys, keysOf(f.Type, key+".")...)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			keys = append(keys, keysOf(f.Type.Elem(), key+"[0].")...)
		}
	}
	return keys
}

func keysIn(n *yaml.Node, path string) []string {
	var keys []string
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			key := path + n.Content[i].Value
			keys = append(append(keys, key), keysIn(n.Content[i+1], key+".")...)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			keys = append(keys, keysIn(item, fmt.Sprintf("%s[%d].", strings.TrimSuffix(path, "."), i))...)
		}
	}
	return keys
}

// The smallest file of the documentation works, and says what it seems to.
func TestMinimal(t *testing.T) {
	cfg, err := configs.Load("min.yml")
	if err != nil {
		t.Fatal(err)
	}
	want := configs.Default()
	want.Backends = []configs.Backend{
		{Name: "pg0", Host: "127.0.0.1", Port: 5500, Weight: 1, ProxyProtocol: "off", Priority: 100},
		{Name: "pg1", Host: "127.0.0.1", Port: 5501, Weight: 1, ProxyProtocol: "off", Priority: 100},
		{Name: "pg2", Host: "127.0.0.1", Port: 5502, Weight: 1, ProxyProtocol: "off", Priority: 100},
	}
	want.Auth.HBA = []string{"host all all 127.0.0.1/32 trust"}
	if reloadable, needRestart := configs.Changes(&want, cfg); len(reloadable)+len(needRestart) > 0 {
		t.Errorf("differs in %v %v", reloadable, needRestart)
	}
	text, err := os.ReadFile("min.yml")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > 10 {
		t.Errorf("min.yml has %d lines: it is to be the smallest file", lines)
	}
}

func TestVIPLabel(t *testing.T) {
	for device, want := range map[string]string{"eth0": "eth0:vip", "enp0s31f6": "enp0s31f6:vip", "enx001122334455": "enx00112233:vip"} {
		if got := (&configs.VIP{Interface: device}).AddressLabel(); got != want || len(got) > 15 {
			t.Errorf("%s: got %q, want %q", device, got, want)
		}
	}
	v := configs.VIP{Interface: "eth0", Label: "eth0:pg", Addresses: []string{"10.0.0.100", "fd00::100", "10.0.1.7/24"}}
	if got := v.AddressLabel(); got != "eth0:pg" {
		t.Errorf("got %q, want the label given", got)
	}
	if got, want := fmt.Sprint(v.Prefixes()), "[10.0.0.100/32 fd00::100/128 10.0.1.7/24]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
