package pgcluster

import (
	"context"
	"os"
	"path/filepath"
	"sort"
	"strconv"
)

// Program is the path of one of PostgreSQL's programs: the one of the servers' own version, or,
// where Bin has servers only, the newest that is installed.
func (c *Cluster) Program(name string) string {
	own := filepath.Join(c.bin, name)
	if _, err := os.Stat(own); err == nil {
		return own
	}
	if found := installed(name); len(found) > 0 {
		return found[len(found)-1]
	}
	return name
}

// installed are the paths of a program in /usr/lib/postgresql, oldest version first.
func installed(name string) []string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil { // a bad pattern
		return nil
	}
	major := func(path string) int {
		number, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // a name that is no number sorts first
		return number
	}
	sort.Slice(found, func(i, j int) bool { return major(found[i]) < major(found[j]) })
	return found
}

// Major is the major version of the servers, as 15. Node 0 must run.
func (c *Cluster) Major(ctx context.Context) (int, error) {
	text, err := c.Value(ctx, 0, "postgres", "SELECT current_setting('server_version_num')::int / 10000")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}
