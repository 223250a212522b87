package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/howdah/howdah/configs"
)

// What import writes passes check, and may be read by its owner only; a second import does not overwrite it.
func TestImportCommand(t *testing.T) {
	if err := os.Chmod("testdata/pgpool/pool_passwd", 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "howdah.yml")
	var report strings.Builder
	if err := run(context.Background(), []string{"import", "testdata/pgpool/pgpool.conf", "-o", out}, nil, &report); err != nil {
		t.Fatalf("%v\n%s", err, report.String())
	}
	if !strings.Contains(report.String(), "failover_command (pgpool.conf:7)") || strings.Contains(report.String(), "hush") {
		t.Errorf("report:\n%s", report.String())
	}
	var checked, warnings strings.Builder
	if err := run(context.Background(), []string{"check", "-c", out}, &checked, &warnings); err != nil || warnings.Len() > 0 {
		t.Errorf("check: %v, %s", err, warnings.String())
	}
	cfg, err := configs.Load(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Backends) != 2 || cfg.Admin.UsersFile == "" || cfg.Auth.PasswdFile == "" || cfg.Auth.HBAFile == "" {
		t.Errorf("got %+v", cfg)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v, %v", info.Mode(), err)
	}
	if err := run(context.Background(), []string{"import", "testdata/pgpool/pgpool.conf", "-o", out}, nil, &report); err == nil {
		t.Error("a file that exists was overwritten")
	}
}

// A file that leaves something to decide is written, and import fails.
func TestImportRefuses(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "pgpool.conf")
	if err := os.WriteFile(conf, []byte("backend_hostname0 = 'a'\nbackend_clustering_mode = 'snapshot_isolation'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var yaml, report strings.Builder
	err := run(context.Background(), []string{"import", conf}, &yaml, &report)
	if err == nil || !strings.Contains(yaml.String(), "host: a") || !strings.Contains(report.String(), "keep Pgpool-II") {
		t.Errorf("got %v\n%s\n%s", err, yaml.String(), report.String())
	}
}
