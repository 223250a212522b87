package logs_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/logs"
)

// A file that was renamed gets the lines until it is opened anew; what cannot be opened changes nothing.
func TestFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	path := filepath.Join(dir, "howdah.log")
	c := configs.Default().Log
	c.Destination, c.File = "file", path
	if _, err := logs.New(c, io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the directory: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := logs.New(c, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	has := func(name, want string) {
		t.Helper()
		text, err := os.ReadFile(name)
		var messages []string
		for line := range strings.Lines(string(text)) {
			_, message, _ := strings.Cut(strings.TrimSpace(line), "msg=")
			messages = append(messages, message)
		}
		if got := strings.Join(messages, " "); err != nil || got != want {
			t.Errorf("%s has %q, %v, want %q", filepath.Base(name), got, err, want)
		}
	}
	l.Info("one")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Info("two")
	if err := l.Reopen(); err != nil {
		t.Error(err)
	}
	l.Info("three")
	has(path+".1", "one two")
	has(path, "three")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the directory: %v", err)
	}
	l.Info("four")
	has(filepath.Join(dir+".away", "howdah.log"), "three four")
	l.Close()
	plain, err := logs.New(configs.Default().Log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := plain.Reopen(); !errors.Is(err, logs.ErrNoFile) {
		t.Errorf("of standard error: %v", err)
	}
}
