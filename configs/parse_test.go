package configs_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/howdah/howdah/configs"
)

var update = flag.Bool("update", false, "rewrite the expected texts in testdata; review the diff line by line")

// environment is what the !env values of testdata are.
func setEnvironment(t testing.TB) {
	t.Setenv("HOWDAH_TEST_USER", "watcher")
	t.Setenv("HOWDAH_TEST_PASSWORD", "s3cret from the environment")
	if err := os.Unsetenv("HOWDAH_TEST_UNSET"); err != nil {
		t.Fatal(err)
	}
}

func files(t testing.TB, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s (%v)", pattern, err)
	}
	return found
}

// expect compares got with the text beside the configuration file.
func expect(t *testing.T, config, got string) {
	t.Helper()
	path := strings.TrimSuffix(config, ".yml") + ".txt"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", path, got, want)
	}
}

// Every *.bad.yml has a mistake of the kind its name says, and all its faults
// are in the .txt beside it.
func TestBadFiles(t *testing.T) {
	setEnvironment(t)
	for _, path := range files(t, "testdata/*.bad.yml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			cfg, err := configs.Load(path)
			var faults configs.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got error %v, want Faults", err)
			}
			if cfg != nil {
				t.Error("got a configuration beside the faults")
			}
			for _, f := range faults {
				if f.What == "" || f.Advice == "" || f.File != path {
					t.Errorf("fault %q: file, what or advice is missing", f)
				}
			}
			for _, secret := range []string{"s3cret", "hush"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the message has a secret:\n%v", err)
				}
			}
			expect(t, path, err.Error()+"\n")
		})
	}
}

// Every *.good.yml loads to what is in the .txt beside it.
func TestGoodFiles(t *testing.T) {
	setEnvironment(t)
	for _, path := range files(t, "testdata/*.good.yml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			cfg, err := configs.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, path, configs.Show(cfg))
		})
	}
}

func TestSecretSources(t *testing.T) {
	setEnvironment(t)
	cfg, err := configs.Load("testdata/secrets.good.yml")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.Auth.Query.Password, "s3cret from a file"; got != want {
		t.Errorf("!file: got %q, want %q", got, want)
	}
	if got, want := cfg.ReplicationCheck.Password, "s3cret from the environment"; got != want {
		t.Errorf("!env: got %q, want %q", got, want)
	}
	if got, want := cfg.Auth.PasswdFile, "testdata/users.txt"; got != want {
		t.Errorf("relative path: got %q, want %q", got, want)
	}
	if got, want := cfg.Auth.KeyFile, "/etc/howdah/key"; got != want {
		t.Errorf("absolute path: got %q, want %q", got, want)
	}
}

func TestLoadUnreadable(t *testing.T) {
	if _, err := configs.Load("testdata/there_is_none.yml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: got %v, want ErrNotExist", err)
	}
	if _, err := configs.Load("testdata"); err == nil {
		t.Error("a folder: got no error")
	}
	large := filepath.Join(t.TempDir(), "large.yml")
	if err := os.WriteFile(large, []byte(strings.Repeat("# filler\n", 1<<17)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := configs.Load(large); err == nil || !strings.Contains(err.Error(), "is longer than 1MB") {
		t.Errorf("large file: got %v", err)
	}
}

// A file of another kind must not fill the terminal.
func TestManyFaults(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		b.WriteString("key" + strings.Repeat("x", i%50) + ": 1\n")
	}
	_, err := configs.Parse("x.yml", []byte(b.String()))
	var faults configs.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("got %v, want Faults", err)
	}
	if got := len(faults); got > 110 {
		t.Errorf("got %d faults", got)
	}
	if !strings.Contains(faults[len(faults)-1].What, "more faults") {
		t.Errorf("last fault is %q, want how many more there are", faults[len(faults)-1])
	}
}

// What Parse takes, Show writes so that Parse takes it again, with the same
// settings (but for the secrets); what it does not take is told with advice.
func FuzzParse(f *testing.F) {
	setEnvironment(f)
	f.Add(configs.Sample)
	for _, path := range files(f, "testdata/*.yml") {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("a: &a [*a]\nbackends: *a")
	f.Add("listen: &l {addresses: *l, port: *l}")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := configs.Parse("/fuzz/x.yml", []byte(text))
		if err != nil {
			var faults configs.Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("got error %#v, want Faults", err)
			}
			for _, fault := range faults {
				if fault.Advice == "" || strings.Contains(fault.String(), "\n") {
					t.Errorf("fault %q: no advice, or more than one line", fault)
				}
			}
			return
		}
		shown := configs.Show(cfg)
		again, err := configs.Parse("/fuzz/x.yml", []byte(shown))
		if err != nil {
			t.Fatalf("shown configuration is not valid: %v\n%s", err, shown)
		}
		if reshown := configs.Show(again); reshown != shown {
			t.Errorf("shown\n%s\nthen\n%s", shown, reshown)
		}
	})
}
