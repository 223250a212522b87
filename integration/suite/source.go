package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// source is what the suites are run from.
type source struct {
	dir string // PostgreSQL's source
	bin string // the server's programs
	// tools is the directory of pgxs with pg_regress and the isolation tester.
	tools string
	// library is the directory of regress.so.
	library string
}

// findSource returns the source in dir, or fetches that of the installed server.
func findSource(ctx context.Context, w io.Writer, dir string) (*source, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/lib/pgxs/src/test/isolation/isolationtester")
	if err != nil || len(found) == 0 {
		return nil, errors.New("find the isolation tester: install postgresql-server-dev (scripts/deps.sh suite)")
	}
	root := found[len(found)-1]
	for range 6 { // /usr/lib/postgresql/15
		root = filepath.Dir(root)
	}
	s := &source{dir: dir, bin: filepath.Join(root, "bin"), tools: filepath.Join(root, "lib/pgxs/src/test")}
	if s.dir == "" {
		if s.dir, err = fetch(ctx, w, s.bin); err != nil {
			return nil, err
		}
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return nil, fmt.Errorf("resolve %s: %w", dir, err)
	}
	s.library = filepath.Join(s.dir, "src/test/regress")
	if _, err := os.Stat(filepath.Join(s.library, "regress.so")); err == nil {
		return s, nil
	}
	return s, buildLibrary(ctx, s)
}

// buildLibrary compiles the functions in C that the tests call.
func buildLibrary(ctx context.Context, s *source) error {
	headers, err := exec.CommandContext(ctx, filepath.Join(s.bin, "pg_config"), "--includedir-server").Output()
	if err != nil {
		return fmt.Errorf("ask for the headers' directory: %w", err)
	}
	cc := exec.CommandContext(ctx, "gcc", "-O1", "-fPIC", "-shared", "-I"+strings.TrimSpace(string(headers)),
		"-I/usr/include/postgresql", `-DDLSUFFIX=".so"`, "-o", "regress.so", "regress.c")
	cc.Dir = s.library
	if out, err := cc.CombinedOutput(); err != nil {
		return fmt.Errorf("compile regress.c: %w\n%s", err, out)
	}
	return nil
}

// fetch gets the source of the server's version from Debian's archive into the cache.
func fetch(ctx context.Context, w io.Writer, bin string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask the server's version: %w", err)
	}
	fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.18 (Debian …)
	if len(fields) < 3 {
		return "", fmt.Errorf("read the server's version: %q", out)
	}
	version := fields[2]
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache: %w", err)
	}
	parent := filepath.Join(cache, "howdah", "postgresql-source")
	dir := filepath.Join(parent, "postgresql-"+version)
	if _, err := os.Stat(filepath.Join(dir, "src/test/regress/parallel_schedule")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("make %s: %w", parent, err)
	}
	major, _, _ := strings.Cut(version, ".")
	archive := fmt.Sprintf("postgresql-%s_%s.orig.tar.bz2", major, version)
	url, err := besides(ctx, "postgresql-"+major, archive)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(w, "fetching", archive)
	get := exec.CommandContext(ctx, "/usr/lib/apt/apt-helper", "download-file", url, filepath.Join(parent, archive))
	if text, err := get.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetch the source of PostgreSQL %s: %w: %s; if the archive has it no more, unpack one and name it with -source", version, err, lastLine(text))
	}
	unpack := exec.CommandContext(ctx, "tar", "-xjf", archive)
	unpack.Dir = parent
	if text, err := unpack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s: %w: %s", archive, err, text)
	}
	return dir, nil
}

// besides is where the archive has a file of the source package: next to the installed package.
func besides(ctx context.Context, pkg, file string) (string, error) {
	version, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Version}", pkg).Output()
	if err != nil {
		return "", fmt.Errorf("ask for the version of %s: %w; name its unpacked source with -source", pkg, err)
	}
	text, err := exec.CommandContext(ctx, "apt-get", "--print-uris", "download", pkg+"="+string(version)).Output()
	if err != nil {
		return "", fmt.Errorf("ask where %s %s is: %w; name its unpacked source with -source", pkg, version, err)
	}
	quoted, _, _ := strings.Cut(string(text), " ") // 'URL' name size hash
	url := strings.Trim(quoted, "'")
	return url[:strings.LastIndex(url, "/")+1] + file, nil
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}
