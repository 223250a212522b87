package main

import (
	"context"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/howdah/howdah/integration/pki"
	"github.com/howdah/howdah/watchdog"
)

// Every sample configuration passes check, without a warning, when the files that it names are there.
func TestSampleConfigurations(t *testing.T) {
	paths, err := filepath.Glob("../../configs/samples/*.yml")
	if err != nil || len(paths) != 6 {
		t.Fatalf("%v, %v", paths, err)
	}
	etc := t.TempDir()
	pair := pki.New(t, "authority").Issue("server", pkix.Name{CommonName: "server"}, "localhost")
	for name, from := range map[string]string{"server.crt": pair.Cert, "server.key": pair.Key} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(etc, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"users.list": `"alice" "her password"`, "pcp.conf": "admin:e8a48653851e28c69d0506508fb27fc5\n", "check.password": "x\n", "auth.password": "x\n"} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := watchdog.Keygen(filepath.Join(etc, "keys"), "shop", []string{"p1", "p2", "p3", "w1"}); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text := string(data)
			keys := filepath.Join(etc, "keys", "p1")
			if strings.Contains(path, "witness") {
				keys = filepath.Join(etc, "keys", "w1")
			}
			text = strings.ReplaceAll(text, "/etc/howdah/watchdog.keys", keys)
			copied := filepath.Join(t.TempDir(), "howdah.yml")
			if err := os.WriteFile(copied, []byte(strings.ReplaceAll(text, "/etc/howdah", etc)), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, warnings strings.Builder
			if err := run(context.Background(), []string{"check", "-c", copied}, &out, &warnings); err != nil || warnings.Len() > 0 {
				t.Errorf("%v\n%s", err, warnings.String())
			}
		})
	}
}
