package migrate_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/howdah/howdah/admin/migrate"
	"github.com/howdah/howdah/configs"
)

var update = flag.Bool("update", false, "write what the cases give into their files")

// section begins a file of a case.
var section = regexp.MustCompile(`(?m)^-- (.+) --\n`)

// parts cuts a case into its files by name, in order.
func parts(text string) (names []string, files map[string]string) {
	files = map[string]string{}
	at := section.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		name := text[m[2]:m[3]]
		names = append(names, name)
		files[name] = text[m[1]:end]
	}
	return names, files
}

// Each case has the files that are imported, and "yaml" and "report" that it must give. The YAML
// must be one that howdah takes, unless the report refuses something.
func TestCases(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.case")
	if err != nil || len(paths) < 10 {
		t.Fatalf("cases: %d, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".case"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			names, files := parts(string(data))
			in := migrate.Files{Conf: "/etc/pgpool2/pgpool.conf", Open: open(files)}
			if _, ok := files["pgpoolkey"]; ok {
				in.Key = "/etc/pgpool2/pgpoolkey"
			}
			from := migrate.Import
			if _, ok := files["pgbouncer.ini"]; ok {
				in.Conf, from = "/etc/pgpool2/pgbouncer.ini", migrate.ImportPgBouncer
			}
			if _, ok := files["pgpool.env"]; ok {
				in.Conf, from = "/etc/pgpool2/pgpool.env", migrate.ImportBitnami
			}
			result, err := from(in)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{"yaml": string(result.YAML), "report": result.Report.String()}
			if *update {
				var b strings.Builder
				for _, name := range names {
					if _, made := got[name]; !made {
						b.WriteString("-- " + name + " --\n" + files[name])
					}
				}
				b.WriteString("-- yaml --\n" + got["yaml"] + "-- report --\n" + got["report"])
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for name, text := range got {
				if files[name] != text {
					t.Errorf("%s: got\n%s\nwant\n%s", name, text, files[name])
				}
			}
			if _, err := configs.Parse("imported.yml", result.YAML); err != nil && !result.Report.Refused() {
				t.Errorf("howdah does not take it: %v", err)
			}
		})
	}
}

func open(files map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if text, ok := files[strings.TrimPrefix(name, "/etc/pgpool2/")]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
}

// commented finds a setting that a sample file has commented out.
var commented = regexp.MustCompile(`(?m)^#([a-zA-Z_0-9]+ ?=)`)

// Debian's own sample of Pgpool-II, with every parameter set, must import with nothing refused,
// and give what howdah takes; as it is, it lacks only the backends.
func TestDebianSample(t *testing.T) {
	const path = "/usr/share/pgpool2/pgpool.conf"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("needs Debian's pgpool2 (scripts/deps.sh test): %v", err)
	}
	files := map[string]string{"pgpool.conf": commented.ReplaceAllString(string(data), "$1"), "pool_passwd": "alice:TEXTsecret\n",
		"pcp.conf": "admin:e8a48653851e28c69d0506508fb27fc5\n", "pool_hba.conf": "host all all all md5\n"}
	result, err := migrate.Import(migrate.Files{Conf: "/etc/pgpool2/pgpool.conf", Open: open(files)})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(result.Report); n < 190 {
		t.Errorf("the report has only %d entries", n)
	}
	for _, e := range result.Report {
		if e.Fate == migrate.Refused || e.Fate == migrate.Unsupported {
			t.Errorf("%+v", e)
		}
	}
	cfg, err := configs.Parse("imported.yml", result.YAML)
	if err != nil {
		t.Fatalf("howdah does not take it: %v\n%s", err, result.YAML)
	}
	if cfg.Listen.Port != 5433 || len(cfg.Backends) != 2 || cfg.Admin.PCP.Port != 9898 || cfg.Admin.UsersFile != "/etc/pgpool2/pcp.conf" {
		t.Errorf("got %+v", cfg)
	}

	files["pgpool.conf"] = string(data)
	if result, err = migrate.Import(migrate.Files{Conf: "/etc/pgpool2/pgpool.conf", Open: open(files)}); err != nil {
		t.Fatal(err)
	}
	var refused []string
	for _, e := range result.Report {
		if e.Fate == migrate.Refused {
			refused = append(refused, e.Name)
		}
	}
	if strings.Join(refused, " ") != "backend_hostname0" {
		t.Errorf("refused: %v", refused)
	}
}

// Every setting of PgBouncer 1.18 with the value that its sample file has.
func TestPgBouncerSettings(t *testing.T) {
	data, err := os.ReadFile("testdata/pgbouncer.defaults.ini")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"pgbouncer.ini": string(data), "userlist.txt": `"a" "b"`}
	result, err := migrate.ImportPgBouncer(migrate.Files{Conf: "/etc/pgpool2/pgbouncer.ini", Passwd: "/etc/pgpool2/userlist.txt", Open: open(files)})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range result.Report {
		if e.Fate == migrate.Refused {
			t.Errorf("%+v", e)
		}
	}
	if len(result.Report) < 80 {
		t.Errorf("the report has only %d entries", len(result.Report))
	}
	if _, err := configs.Parse("imported.yml", result.YAML); err != nil {
		t.Errorf("howdah does not take it: %v\n%s", err, result.YAML)
	}
	if !migrate.IsPgBouncer(data) || migrate.IsPgBouncer([]byte("port = 5")) {
		t.Error("files are taken for others")
	}
}

// FuzzImportPgBouncer: whatever the file holds, what is written can be read.
func FuzzImportPgBouncer(f *testing.F) {
	for _, path := range []string{"testdata/pgbouncer_plain.case", "testdata/pgbouncer_hba.case"} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		_, files := parts(string(data))
		f.Add(files["pgbouncer.ini"], files["userlist.txt"])
	}
	f.Fuzz(func(t *testing.T, conf, users string) {
		result, err := migrate.ImportPgBouncer(migrate.Files{Conf: "/etc/pgpool2/pgbouncer.ini", Open: open(map[string]string{"pgbouncer.ini": conf, "userlist.txt": users})})
		if err != nil {
			return // refused, which is an answer; what is asked is that nothing panics
		}
		if _, err := configs.Parse("imported.yml", result.YAML); err != nil && !result.Report.Refused() {
			t.Errorf("howdah does not take it: %v\n%s", err, result.YAML)
		}
	})
}

// Whatever the file holds, what is written is YAML that can be read, and no entry is without a name.
func FuzzImport(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.case")
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		_, files := parts(string(data))
		f.Add(files["pgpool.conf"], files["pool_hba.conf"])
	}
	f.Fuzz(func(t *testing.T, conf, hba string) {
		files := map[string]string{"pgpool.conf": conf, "pool_hba.conf": hba}
		result, err := migrate.Import(migrate.Files{Conf: "/etc/pgpool2/pgpool.conf", Open: open(files)})
		if err != nil {
			return // refused, which is an answer; what is asked is that nothing panics
		}
		if _, err := configs.Parse("imported.yml", result.YAML); err != nil && !result.Report.Refused() {
			var faults configs.Faults
			if errors.As(err, &faults) && faults[0].Key == "" {
				t.Errorf("not YAML: %v\n%s", err, result.YAML)
			}
		}
	})
}
