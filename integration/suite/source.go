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

// fetch gets a source of the server's major version from Debian's archive into the cache: that of the installed package, or, as
// not every archive keeps the sources of security updates, of another that it offers. A minor version changes few outputs, and
// what counts is the difference between the two ways to the same server.
func fetch(ctx context.Context, w io.Writer, bin string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask the server's version: %w", err)
	}
	fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.18 (Debian …)
	if len(fields) < 3 {
		return "", fmt.Errorf("read the server's version: %q", out)
	}
	major, _, _ := strings.Cut(fields[2], ".")
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	offered, err := offers(ctx, "postgresql-"+major)
	if err != nil {
		return "", err
	}
	var failures []error
	for _, o := range offered {
		dir, err := unpacked(ctx, w, cache, o)
		if err == nil {
			return dir, nil
		}
		failures = append(failures, err)
	}
	return "", fmt.Errorf("fetch the source of PostgreSQL %s: %w; unpack one and name it with -source", major, errors.Join(failures...))
}

// cacheDir is where the sources are kept: the tests run as another account than root, which cannot look into root's home.
func cacheDir() (string, error) {
	parent := "/var/cache"
	if os.Geteuid() != 0 {
		var err error
		if parent, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("find the cache: %w", err)
		}
	}
	dir := filepath.Join(parent, "howdah", "postgresql-source")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make %s: %w", dir, err)
	}
	return dir, nil
}

// offer is a version of a source package in the archive.
type offer struct{ major, version, url string }

func (o offer) archive() string {
	return fmt.Sprintf("postgresql-%s_%s.orig.tar.bz2", o.major, o.version)
}

// offers are the versions of a package that the archive has, the newest first, with their sources beside them.
func offers(ctx context.Context, pkg string) ([]offer, error) {
	text, err := exec.CommandContext(ctx, "apt-cache", "madison", pkg).Output()
	if err != nil {
		return nil, fmt.Errorf("ask for the versions of %s: %w; name its unpacked source with -source", pkg, err)
	}
	var found []offer
	for line := range strings.Lines(string(text)) { // postgresql-15 | 15.18-0+deb12u1 | http://…
		columns := strings.Split(line, "|")
		if len(columns) < 3 {
			continue
		}
		full := strings.TrimSpace(columns[1])
		text, err := exec.CommandContext(ctx, "apt-get", "--print-uris", "download", pkg+"="+full).Output()
		if err != nil {
			continue // an installed version that the archive has no more
		}
		quoted, _, _ := strings.Cut(string(text), " ") // 'URL' name size hash
		url := strings.Trim(quoted, "'")
		version, _, _ := strings.Cut(full, "-")
		o := offer{major: strings.TrimPrefix(pkg, "postgresql-"), version: version}
		o.url = url[:strings.LastIndex(url, "/")+1] + o.archive()
		found = append(found, o)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the archive has no %s; name its unpacked source with -source", pkg)
	}
	return found, nil
}

// unpacked is the directory of a source in the cache, fetched if it is not there.
func unpacked(ctx context.Context, w io.Writer, cache string, o offer) (string, error) {
	dir := filepath.Join(cache, "postgresql-"+o.version)
	if _, err := os.Stat(filepath.Join(dir, "src/test/regress/parallel_schedule")); err == nil {
		return dir, nil
	}
	fmt.Fprintln(w, "fetching", o.archive())
	get := exec.CommandContext(ctx, "/usr/lib/apt/apt-helper", "download-file", o.url, filepath.Join(cache, o.archive()))
	if text, err := get.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", o.url, err, lastLine(text))
	}
	unpack := exec.CommandContext(ctx, "tar", "-xjf", o.archive())
	unpack.Dir = cache
	if text, err := unpack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s: %w: %s", o.archive(), err, text)
	}
	return dir, nil
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}
