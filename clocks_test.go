package howdah_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// wallMethods read a time.Time's wall clock, or take away its monotonic reading.
var wallMethods = map[string]bool{"Unix": true, "UnixNano": true, "UnixMilli": true, "UnixMicro": true, "UTC": true, "Local": true, "In": true, "Truncate": true}

// serverClocks are what SQL asks a server's clock with.
var serverClocks = []string{"clock_timestamp", "pg_last_xact_replay_timestamp", "pg_last_committed_xact", "now()", "current_timestamp", "last_msg_receipt_time", "replay_lag"}

// TestNoWallClock: horizons, floors and lags are measured with this process's monotonic
// clock alone, so that no step of any clock can make a read old. Neither do cluster, balancer,
// wire's clock and the proxy's part of it read a wall clock, nor do they ask a server for its.
func TestNoWallClock(t *testing.T) {
	var files []string
	for _, pattern := range []string{"cluster/*.go", "balancer/*.go", "wire/now.go", "wire/socket/now.go", "wire/socket/batch.go", "proxy/horizon.go", "proxy/visible.go", "proxy/writes.go", "proxy/loads.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: no files (%v)", pattern, err)
		}
		files = append(files, found...)
	}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				call, ok := n.Fun.(*ast.SelectorExpr)
				if !ok || !wallMethods[call.Sel.Name] {
					return true
				}
				if pkg, ok := call.X.(*ast.Ident); !ok || pkg.Name != "time" { // time.Unix(1, 0) is a deadline that has passed
					t.Errorf("%v: %s reads the wall clock", set.Position(n.Pos()), call.Sel.Name)
				}
			case *ast.BasicLit:
				for _, clock := range serverClocks {
					if name == "cluster/lock.go" { // it compares two times of one server, and no read depends on it
						continue
					}
					if n.Kind == token.STRING && strings.Contains(strings.ToLower(n.Value), clock) {
						t.Errorf("%v: asks for a server's clock (%s)", set.Position(n.Pos()), clock)
					}
				}
			}
			return true
		})
	}
}
