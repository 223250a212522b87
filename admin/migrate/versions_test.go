package migrate_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/howdah/howdah/admin/migrate"
	"github.com/howdah/howdah/configs"
)

// version is what a sample file of Pgpool-II sets; refused names the parameter that howdah must refuse, or "".
type version struct {
	values  map[string]string
	refused string
}

// set finds a setting of a sample file, commented out or not.
var set = regexp.MustCompile(`(?m)^#?([a-zA-Z_0-9]+) ?= ?('[^'\n]*'|[^#\s]+)`)

// sampleVersions reads testdata/pgpool_versions.txt, and Debian's own file as 4.3.
func sampleVersions(t *testing.T) map[string]version {
	t.Helper()
	data, err := os.ReadFile("testdata/pgpool_versions.txt")
	if err != nil {
		t.Fatal(err)
	}
	debian, err := os.ReadFile("/usr/share/pgpool2/pgpool.conf")
	if err != nil {
		t.Fatalf("the package pgpool2 is needed: %v", err)
	}
	of43 := version{values: map[string]string{}}
	for _, m := range set.FindAllStringSubmatch(string(debian), -1) {
		if of43.values[m[1]] == "" { // of two reset_query_list the first counts, the other is for PostgreSQL 8.2
			of43.values[m[1]] = m[2]
		}
	}
	all := map[string]version{"4.3": of43}
	for _, part := range strings.Split(string(data), "\n== ")[1:] {
		head, body, _ := strings.Cut(part, "\n")
		name, rest, _ := strings.Cut(head, " ")
		v := version{values: map[string]string{}}
		var from string
		fmt.Sscanf(rest, "from %s refused %s", &from, &v.refused)
		if from != "" {
			if all[from].values == nil {
				t.Fatalf("%s: there is no %s before it", name, from)
			}
			v.values = maps.Clone(all[from].values)
		}
		for line := range strings.Lines(body) {
			line = strings.TrimSpace(line)
			if gone, ok := strings.CutPrefix(line, "- "); ok {
				if _, ok := v.values[gone]; !ok {
					t.Errorf("%s: %s is not in %s", name, gone, from)
				}
				delete(v.values, gone)
			} else if key, value, ok := strings.Cut(line, " = "); ok {
				v.values[key] = value
			}
		}
		all[name] = v
	}
	return all
}

// All sample files of Pgpool-II 3.4 to 4.8 import: nothing in them is unknown, and what is written is
// a configuration that howdah takes. Only modes that howdah has not are refused, by name.
func TestSampleVersions(t *testing.T) {
	all := sampleVersions(t)
	if len(all) < 18 {
		t.Errorf("only %d versions", len(all))
	}
	for name, v := range all {
		t.Run(name, func(t *testing.T) {
			var conf strings.Builder
			for _, key := range slices.Sorted(maps.Keys(v.values)) {
				fmt.Fprintf(&conf, "%s = %s\n", key, v.values[key])
			}
			files := map[string]string{"pgpool.conf": conf.String(), "pool_passwd": "alice:TEXTsecret\n",
				"pcp.conf": "admin:e8a48653851e28c69d0506508fb27fc5\n", "pool_hba.conf": "host all all all md5\n"}
			result, err := migrate.Import(migrate.Files{Conf: "/etc/pgpool2/pgpool.conf", Open: open(files)})
			if err != nil {
				t.Fatal(err)
			}
			var refused []string
			for _, e := range result.Report {
				switch {
				case e.Fate == migrate.Refused:
					refused = append(refused, e.Name)
				case e.Fate == migrate.Unsupported:
					t.Errorf("%+v", e)
				}
			}
			if strings.Join(refused, " ") != v.refused {
				t.Errorf("refused: %q, want %q\n%s", refused, v.refused, result.Report.String())
			}
			if cfg, err := configs.Parse("imported.yml", result.YAML); err != nil && v.refused == "" {
				t.Errorf("howdah does not take it: %v\n%s", err, result.YAML)
			} else if err == nil && len(cfg.Backends) != 2 {
				t.Errorf("%d backends", len(cfg.Backends))
			}
		})
	}
}

// addresses are what configs checks, and howdah import then prints what it says.
var addresses = regexp.MustCompile("listen_addresses$|hostname[01]$|port$")

// Whatever plain value a setting has: either howdah takes what is written, or the report refuses the setting.
func TestValues(t *testing.T) {
	values := []string{"on", "off", "0", "1", "-1", "70000", "1min", "''", "'/tmp'", "'a,b'", "'a;b'", "'a.*:standby(0.5)'", "always", "dml_adaptive_global", "'stderr,syslog'", "debug5", "'AES0000'"}
	for key := range sampleVersions(t)["4.8devel"].values {
		for _, value := range values {
			conf := "backend_hostname0 = 'a'\nbackend_port0 = 5432\nuse_watchdog = on\nssl = on\nssl_key = 'k'\nssl_cert = 'c'\n" + key + " = " + value + "\n"
			files := map[string]string{"pgpool.conf": conf, "pool_passwd": "alice:TEXTsecret\n", "pcp.conf": "admin:e8a48653851e28c69d0506508fb27fc5\n", "pool_hba.conf": "host all all all md5\n"}
			result, err := migrate.Import(migrate.Files{Conf: "/etc/pgpool2/pgpool.conf", Open: open(files)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = configs.Parse("imported.yml", result.YAML)
			if err != nil && !result.Report.Refused() && !addresses.MatchString(key) {
				t.Errorf("%s = %s: howdah does not take it: %v", key, value, err)
			}
		}
	}
}
