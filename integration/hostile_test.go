package integration_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// Clients that claim, send or leave unread more than any should cost little memory, and nobody else notices.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cluster := pgcluster.ForTest(t, pgcluster.Options{})
			server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{
				"pool.mode": mode, "limits.max_statement_memory": "1MB"}})
			h := &hostile{t, server}
			h.asks(10) // caches
			h.costs("lengths of 1 GB that are only claimed", 16<<20, (*hostile).claims)
			h.costs("a result of 2 GB that nobody reads", 32<<20, (*hostile).leavesUnread)
			h.costs("prepared statements of 60 MB", 48<<20, (*hostile).prepares)
			h.costs("300,000 messages without a Sync", 64<<20, (*hostile).storms)
			h.costs("a Bind of 65,535 parameters of which none is there", 16<<20, (*hostile).bindsNothing)
		})
	}
}

type hostile struct {
	*testing.T
	server *howdahtest.Server
}

// costs runs attack, which leaves its clients as they are until the end of the test, and measures howdah's memory. The race
// detector multiplies what is allocated; the limits have room for that.
func (h *hostile) costs(what string, limit int, attack func(*hostile)) {
	h.Helper()
	h.Run(what, func(t *testing.T) {
		h := &hostile{t, h.server}
		before := h.memory()
		attack(h)
		h.asks(100)
		if grown := h.memory() - before; grown > limit {
			t.Errorf("howdah grew by %d kB, want at most %d", grown>>10, limit>>10)
		}
	})
}

// memory is howdah's resident memory in bytes.
func (h *hostile) memory() int {
	h.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.server.Pid()))
	must(h.T, err)
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kilobytes int
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		h.Fatal(err)
	}
	return kilobytes << 10
}

// asks is an ordinary client.
func (h *hostile) asks(times int) {
	h.Helper()
	conn, err := pgx.Connect(h.Context(), h.server.DSN("postgres", "postgres"))
	must(h.T, err)
	defer conn.Close(h.Context()) //nolint:errcheck // it has its answers
	for i := range times {
		var got int
		must(h.T, conn.QueryRow(h.Context(), "SELECT $1::int", i).Scan(&got))
	}
}

func (h *hostile) login() *raw {
	h.Helper()
	r, err := login(h.server.Address(), map[string]string{"user": "postgres", "database": "postgres"})
	must(h.T, err)
	h.Cleanup(func() { r.Close() })
	return r
}

func frame(typ byte, size int, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{typ}, uint32(size)), body...)
}

func message(typ byte, body string) []byte { return frame(typ, 4+len(body), body) }

func (h *hostile) claims() {
	for i := range 200 {
		r := h.login()
		_, err := r.Write(frame("QPBDEFdc"[i%8], 1<<30, "SELECT 'and"))
		must(h.T, err)
	}
}

func (h *hostile) leavesUnread() {
	for range 3 {
		r := h.login()
		must(h.T, r.query("SELECT repeat('x', 2000) FROM generate_series(1, 1000000)"))
	}
}

func (h *hostile) prepares() {
	r := h.login()
	long := strings.Repeat("x", 200_000)
	for i := range 300 {
		_, err := r.Write(append(message('P', fmt.Sprintf("s%d\x00SELECT %d, '%s'\x00\x00\x00", i, i, long)), message('S', "")...))
		must(h.T, err)
		must(h.T, r.until('Z'))
	}
	for _, i := range []int{0, 150, 299} { // those over the limit still work
		run := bytes.Join([][]byte{message('B', fmt.Sprintf("\x00s%d\x00\x00\x00\x00\x00\x00\x00", i)), message('E', "\x00\x00\x00\x00\x00"), message('S', "")}, nil)
		_, err := r.Write(run)
		must(h.T, err)
		must(h.T, r.until('C'))
		must(h.T, r.until('Z'))
	}
}

func (h *hostile) storms() {
	r := h.login()
	_, err := r.Write(bytes.Repeat(message('D', "P\x00"), 300_000))
	must(h.T, err)
	_, err = r.Write(message('S', ""))
	must(h.T, err)
	if err := r.until('Z'); err == nil || !strings.Contains(err.Error(), "34000") {
		h.Errorf("Describe of no portal gives %v, want 34000", err)
	}
	must(h.T, r.until('Z'))
}

func (h *hostile) bindsNothing() {
	r := h.login()
	_, err := r.Write(append(message('B', "\x00\x00\xff\xff\x00\x01"), message('S', "")...))
	must(h.T, err)
	if err := r.until('Z'); err == nil || !strings.Contains(err.Error(), "C08P01") && !strings.Contains(err.Error(), "C26000") {
		h.Errorf("a malformed Bind gives %v", err)
	}
	must(h.T, r.until('Z'))
}
