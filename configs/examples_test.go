package configs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/howdah/howdah/configs"
)

// The examples that the documentation refers to are valid, and fit together.
func TestExamples(t *testing.T) {
	dir := t.TempDir()
	files, err := filepath.Glob("examples/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "check.password"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var peers []configs.Peer
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := configs.Load(path)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if c.Watchdog.IsPair() {
			continue // another deployment
		}
		if peers == nil {
			peers = c.Watchdog.Peers
		}
		for i, p := range c.Watchdog.Peers {
			if len(c.Watchdog.Peers) != len(peers) || p != peers[i] {
				t.Errorf("%s has other peers than %s", file, files[0])
				break
			}
		}
	}
}
