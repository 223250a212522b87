package configs_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/howdah/howdah/configs"
)

func valid(t *testing.T) *configs.Config {
	t.Helper()
	cfg, err := configs.Load("min.yml")
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Every key is either reloadable or named here: this list is policy.
func TestChangesNeedRestart(t *testing.T) {
	want := []string{"listen.addresses", "listen.port", "listen.unix_dirs", "listen.unix_mode", "routing.tracked_relations", "routing.cache_size",
		"failover.state_file",
		"vip.mode", "vip.addresses", "vip.interface", "vip.label", "vip.takeover", "vip.lifetime", "vip.refresh", "vip.probe_wait", "vip.announce_interval",
		"vip.guardian", "vip.reset_clients", "vip.commands.up", "vip.commands.down", "vip.commands.announce", "vip.commands.timeout",
		"vip.hook.command", "vip.hook.timeout",
		"watchdog.cluster", "watchdog.name", "watchdog.data_dir", "watchdog.keys", "watchdog.profile", "watchdog.peers",
		"watchdog.escalation_command", "watchdog.deescalation_command", "watchdog.command_timeout", "watchdog.trusted_servers", "watchdog.interfaces",
		"watchdog.pair.database_lock", "watchdog.pair.on_loss", "watchdog.pair.after", "watchdog.pair.self_fence_after", "watchdog.pair.fence",
		"admin.socket", "admin.pcp.addresses", "admin.pcp.port", "admin.pcp.unix_dirs", "admin.http.addresses", "admin.http.port",
		"admin.http.cert_file", "admin.http.key_file", "admin.http.anonymous", "log.format",
		"log.destination", "log.syslog.facility", "log.syslog.ident", "log.syslog.network", "log.syslog.address", "log.file", "log.file_mode", "log.repeat_interval"}
	old, changed := valid(t), valid(t)
	alter(reflect.ValueOf(changed).Elem())
	reloadable, needRestart := configs.Changes(old, changed)
	if !slices.Equal(needRestart, want) {
		t.Errorf("need a restart: got %v, want %v", needRestart, want)
	}
	for key := range settings(reflect.ValueOf(configs.Default()), "") {
		if key != "backends" && !slices.Contains(want, key) && !slices.Contains(reloadable, key) {
			t.Errorf("a change of %s is not reported", key)
		}
	}
}

// alter changes every value of a configuration.
func alter(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			alter(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.Append(v, reflect.ValueOf("another")))
		} else if v.Type().Elem() == reflect.TypeFor[configs.Redirect]() {
			v.Set(reflect.Append(v, reflect.ValueOf(configs.DefaultRedirect())))
		} else if v.Type().Elem() == reflect.TypeFor[configs.PoolRule]() {
			v.Set(reflect.Append(v, reflect.ValueOf(configs.PoolRule{User: "u"})))
		} else if v.Type().Elem() == reflect.TypeFor[configs.Peer]() {
			v.Set(reflect.Append(v, reflect.ValueOf(configs.DefaultPeer())))
		}
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint32:
		v.SetUint(v.Uint() + 1)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	}
}

func TestChanges(t *testing.T) {
	tests := []struct {
		name       string
		change     func(*configs.Config)
		reloadable string
	}{
		{"nothing", func(c *configs.Config) {}, ""},
		{"an empty list for none", func(c *configs.Config) { c.Listen.UnixDirs = []string{} }, ""},
		{"a value", func(c *configs.Config) { c.Pool.MaxWaiters++ }, "pool.max_waiters"},
		{"a key below a section", func(c *configs.Config) { c.Auth.Query.User = "x" }, "auth.query.user"},
		{"a backend's weight", func(c *configs.Config) { c.Backends[1].Weight = 0 }, "backends[pg1].weight"},
		{"a backend comes", func(c *configs.Config) {
			c.Backends = append(c.Backends, configs.Backend{Name: "pg3"})
		}, "backends[pg3]"},
		{"a backend goes", func(c *configs.Config) { c.Backends = c.Backends[1:] }, "backends[pg0]"},
		{"a backend gets another name", func(c *configs.Config) { c.Backends[0].Name = "pg9" }, "backends[pg9] backends[pg0]"},
		{"another order", func(c *configs.Config) { slices.Reverse(c.Backends) }, "backends"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			old, changed := valid(t), valid(t)
			tt.change(changed)
			reloadable, needRestart := configs.Changes(old, changed)
			if got := strings.Join(reloadable, " "); got != tt.reloadable {
				t.Errorf("reloadable: got %q, want %q", got, tt.reloadable)
			}
			if len(needRestart) > 0 {
				t.Errorf("need a restart: got %v", needRestart)
			}
		})
	}
}

// Showing must not change what is shown.
func TestShowLeavesConfig(t *testing.T) {
	cfg, same := valid(t), valid(t)
	cfg.ReplicationCheck.Password, same.ReplicationCheck.Password = "hush", "hush"
	if shown := configs.Show(cfg); strings.Contains(shown, "hush") {
		t.Errorf("the secret is shown:\n%s", shown)
	}
	if !reflect.DeepEqual(cfg, same) {
		t.Error("Show changed the configuration")
	}
}
