package howdahtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binVariable names the binary under test. Main sets it; set from outside it names
// a binary to test instead of a fresh build.
const binVariable = "HOWDAH_BIN"

// Main is the body of TestMain for packages that use Start: it builds the binary,
// runs the tests and returns the exit code. HOWDAH_RACE=0 builds without the race
// detector.
func Main(m *testing.M) int {
	if os.Getenv(binVariable) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "howdah-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make directory for the binary:", err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a leftover in the temp directory hurts no test
	bin := filepath.Join(dir, "howdah")
	if err := build(bin, os.Getenv("HOWDAH_RACE") != "0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv(binVariable, bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Bin is the path of the binary under test.
func Bin(t testing.TB) string {
	t.Helper()
	bin := os.Getenv(binVariable)
	if bin == "" {
		t.Fatal("no binary to test: this package's TestMain must call howdahtest.Main")
	}
	return bin
}

func build(bin string, race bool) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	args := []string{"build", "-o", bin}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/howdah")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build howdah: %w\n%s", err, out)
	}
	return nil
}

// moduleRoot is the nearest directory upwards that has a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find module: no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}
