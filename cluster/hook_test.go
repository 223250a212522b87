package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
)

func hookExample() *hookCall {
	return &hookCall{
		node:       hookNode{known: true, id: 0, name: "pg0", host: "h0", port: 5500, dataDir: "/d0"},
		main:       hookNode{known: true, id: 1, name: "pg1", host: "h1", port: 5501, dataDir: "/d1"},
		oldMain:    hookNode{known: true, id: 0},
		oldPrimary: hookNode{known: true, id: 2, host: "h2", port: 5502},
		epoch:      7,
	}
}

// Every placeholder of Pgpool-II's failover_command.
func TestHookPlaceholders(t *testing.T) {
	call := hookExample()
	tests := []struct{ command, want string }{
		{"f %d %h %p %D %m %H %M %P %r %R %N %S %%", "f 0 h0 5500 /d0 1 h1 0 2 5501 /d1 h2 5502 %"},
		{"%dx%d", "0x0"},
		{"%z%", "%"},
		{"100%% of %h", "100% of h0"},
	}
	for _, test := range tests {
		if got := call.expand(configs.Command{"/bin/sh", "-c", test.command})[2]; got != test.want {
			t.Errorf("%q becomes %q, want %q", test.command, got, test.want)
		}
	}
	call.main = hookNode{}
	if got := call.expand(configs.Command{"/bin/sh", "-c", "f %m %H %r %R"})[2]; got != `f -1 "" "" ""` {
		t.Errorf("without a node the shell gets %q", got)
	}
	if got := call.expand(configs.Command{"/x", "%m", "%H", "%d %h"}); !slices.Equal(got, []string{"/x", "-1", "", "0 h0"}) {
		t.Errorf("without a node a program gets %q", got)
	}
}

func TestRunHook(t *testing.T) {
	call := hookExample()
	res, err := runHook(t.Context(), configs.Command{"/bin/sh", "-c", "echo $HOWDAH_EPOCH $HOWDAH_NODE %h; echo oops >&2; exit 3"}, call)
	if res.status != 3 || res.output != "7 pg0 h0\noops\n" || err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("a failing command: %+v, %v", res, err)
	}
	if res, err := runHook(t.Context(), configs.Command{"/bin/echo", "%h %m"}, call); err != nil || res.output != "h0 1\n" {
		t.Errorf("a program: %+v, %v", res, err)
	}
	if _, err := runHook(t.Context(), configs.Command{"/nowhere"}, call); err == nil {
		t.Error("a program that does not exist was run")
	}
	long, err := runHook(t.Context(), configs.Command{"/bin/sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo 0123456789; i=$((i+1)); done; echo end"}, call)
	if err != nil || len(long.output) > maxHookOutput || !strings.HasSuffix(long.output, "end\n") {
		t.Errorf("of a long output %d bytes were kept, %v", len(long.output), err)
	}
}

// A command that hangs is killed with its children, and what it wrote is kept.
func TestRunHookKills(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	begun := filepath.Join(t.TempDir(), "begun")
	go func() { // ends when the command has begun, or with the test
		for ctx.Err() == nil {
			if _, err := os.Stat(begun); err == nil {
				cancel(errors.New("too slow"))
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	start := time.Now()
	res, err := runHook(ctx, configs.Command{"/bin/sh", "-c", "echo begun; touch " + begun + "; sleep 60 & wait"}, hookExample())
	if err == nil || !strings.Contains(err.Error(), "too slow") || res.output != "begun\n" || time.Since(start) > 10*time.Second {
		t.Errorf("%+v, %v after %v", res, err, time.Since(start))
	}
}

func TestConnectionStrings(t *testing.T) {
	tests := []struct{ info, want string }{
		{"", "host='n' port=7"},
		{"host=a port=5 user=u password='it''s' application_name = x", ""},
		{"host=a port=5 user=u password='it\\'s \\\\' application_name = x", `user='u' password='it\'s \\' application_name='x' host='n' port=7`},
		{"hostaddr=1.2.3.4 host=a host=b user = 'two words'", "user='two words' host='n' port=7"},
		{"postgres://u:p%40x@a:5/db?application_name=x&hostaddr=1.2.3.4", "postgres://u:p%40x@/db?application_name=x&host=n&port=7"},
		{"postgresql://a", "postgresql:///?host=n&port=7"},
	}
	for _, test := range tests {
		frozen := frozenInfo(test.info)
		if thawedInfo(frozen) != test.info || frozenInfo(frozen) != frozen || !strings.Contains(frozen, frozenMark) {
			t.Errorf("%q is frozen as %q and thawed as %q", test.info, frozen, thawedInfo(frozen))
		}
		for _, info := range []string{test.info, frozen} {
			got, err := repointedInfo(info, "n", 7)
			if got != test.want || (err != nil) != (test.want == "") {
				t.Errorf("%q is repointed as %q (%v), want %q", info, got, err, test.want)
			}
		}
	}
}

func TestQuorumOf(t *testing.T) {
	tests := []struct {
		names string
		k     int
		all   []string
	}{
		{"", 0, nil}, {"*", 0, nil}, {"a, b", 0, nil}, {"FIRST 1 (a, b)", 0, nil}, {"2 (a, b)", 0, nil},
		{"ANY 1 (a, b)", 1, []string{"a", "b"}}, {`any 2 ("a x",b, c)`, 2, []string{"a x", "b", "c"}}, {"ANY 1 (*)", 0, nil},
	}
	for _, test := range tests {
		if k, all := quorumOf(test.names); k != test.k || !slices.Equal(all, test.all) {
			t.Errorf("%q: %d of %q", test.names, k, all)
		}
	}
}
