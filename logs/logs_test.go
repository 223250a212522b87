package logs

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
)

// Lines that repeat are counted, but not those that are always wanted, nor other messages.
func TestRepeats(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(0, 0)
	log := slog.New(newRepeats(slog.NewTextHandler(&b, nil), 10*time.Second, func() time.Time { return now })).With("session", 5)
	for i := range 100 {
		log.Warn("again", "n", i)
		log.Info("asked for", Always)
	}
	log.Warn("another")
	now = now.Add(10 * time.Second)
	log.Warn("again", "n", 100)
	log.Warn("again", "n", 101)
	text := b.String()
	if n := strings.Count(text, "msg=again"); n != burst+2 {
		t.Errorf("%d lines", n)
	}
	if n := strings.Count(text, `msg="asked for"`); n != 100 {
		t.Errorf("%d lines that were asked for", n)
	}
	if !strings.Contains(text, "msg=again session=5 n=100 repeated=80\n") || strings.Count(text, "repeated") != 1 || !strings.Contains(text, "msg=another") || strings.Contains(text, "always") {
		t.Errorf("got\n%s", text)
	}
}

// A logger with attributes writes what it would without waiting with them, whatever was derived from it, and when.
func TestLater(t *testing.T) {
	write := func(h slog.Handler) string {
		log := slog.New(h)
		one := log.With("a", 1, slog.Group("g", "b", 2))
		two := one.With("c", "x y").With()
		three := two.WithGroup("h").With("d", 4)
		three.Warn("first", "e", 5) // before those that it is derived from
		one.Info("second")
		two.Info("third", "f", 6)
		one.With("k", 7).Error("fourth")
		two.Debug("nothing")
		one.Info("fifth")
		return fmt.Sprint(two.Enabled(t.Context(), slog.LevelDebug), two.Enabled(t.Context(), slog.LevelInfo))
	}
	plain := func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}
	for name, handler := range map[string]func(w *bytes.Buffer) slog.Handler{
		"text": func(w *bytes.Buffer) slog.Handler {
			return slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: plain})
		},
		"json": func(w *bytes.Buffer) slog.Handler {
			return slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: plain})
		},
	} {
		var now, later bytes.Buffer
		enabled := write(handler(&now))
		if got := write(newRepeats(handler(&later), time.Second, time.Now)); later.String() != now.String() || got != enabled {
			t.Errorf("%s: got\n%s%s\nwant\n%s%s", name, later.String(), got, now.String(), enabled)
		}
	}
}

// So many different messages are counted only.
func TestRepeatsAreBounded(t *testing.T) {
	c := &counts{interval: time.Second, now: time.Now, of: map[said]*count{}}
	for i := range 3 * maxMessages {
		if pass, _ := c.pass(said{0, fmt.Sprint(i)}); !pass || len(c.of) > maxMessages {
			t.Fatalf("message %d: %v, %d are counted", i, pass, len(c.of))
		}
	}
}

// Syslog gets severity, name and text, and no time of ours.
func TestSyslog(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "log")
	l, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	log, err := New(configs.Log{Level: "info", Format: "text", Destination: "syslog",
		Syslog: configs.Syslog{Facility: "local3", Ident: "howdah-a", Network: "unixgram", Address: socket}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("not written")
	log.With("session", 7).Warn("a warning", "user", "alice")
	log.Error("an error")
	log.Close()
	log.Error("after the end") // is lost, and does no harm
	for _, want := range []struct{ begin, end string }{{"<156>", `msg="a warning" session=7 user=alice`}, {"<155>", `msg="an error"`}} {
		b := make([]byte, 1000)
		l.SetDeadline(time.Now().Add(10 * time.Second))
		n, _, err := l.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(b[:n])); !strings.HasPrefix(got, want.begin) || !strings.Contains(got, " howdah-a[") || !strings.HasSuffix(got, "]: "+want.end) {
			t.Errorf("got %q", got)
		}
	}
	if _, err := New(configs.Log{Destination: "syslog", Syslog: configs.Syslog{Network: "unixgram", Address: socket + "x"}}, nil); err == nil {
		t.Error("a syslog that is not there is there")
	}
}

// A reader that hangs stops nobody; what is lost is counted.
func TestSlowReader(t *testing.T) {
	release, got := make(chan struct{}), make(chan string, 3*maxQueued)
	q := newQueue(func(_ slog.Level, text []byte) { <-release; got <- string(text) }, func() {})
	h := slog.New(newQueueHandler(q, "text", slog.LevelInfo, true))
	for range maxQueued + 100 {
		h.Info("line")
	}
	close(release)
	for range maxQueued {
		<-got
	}
	h.Info("later")
	q.close()
	close(got)
	all := ""
	for text := range got {
		all += text + "\n"
	}
	if !strings.Contains(all, "lines were lost") || !strings.Contains(all, "msg=later") {
		t.Errorf("got %s", all)
	}
}
