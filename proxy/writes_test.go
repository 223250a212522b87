package proxy

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/parser"
)

func TestWritesAreSeenBeforeTheirAnswer(t *testing.T) {
	table := newWriteTable(1 << 10)
	read := parser.Classify("SELECT * FROM pets")
	a, b, other := table.session("d", nil), table.session("d", nil), table.session("e", nil)
	want := func(what string, w *writes, inFlight bool, atLeast int64) {
		t.Helper()
		got := w.needed(read, nil)
		if (got == balancer.WriteInFlight) != inFlight || got < atLeast {
			t.Errorf("%s: a read needs %d, want in flight %v, at least %d", what, got, inFlight, atLeast)
		}
	}
	want("before", &b, false, 0)
	if got := b.needed(read, nil); got != 0 {
		t.Errorf("a read needs %d though nothing was written", got)
	}
	a.add(parser.Classify("INSERT INTO pets VALUES (1)"), true)
	want("while it runs", &b, true, 0)
	want("in another database", &other, false, 0)
	start := cluster.Now()
	a.ended()
	want("when it is answered", &b, false, start)

	a.add(parser.Classify("INSERT INTO pets VALUES (1)"), false)
	want("in a block", &b, false, start)
	a.answered()
	a.add(parser.Classify("COMMIT"), true)
	want("during COMMIT", &b, true, 0)
	start = cluster.Now()
	a.committed()
	want("between COMMIT and ReadyForQuery", &b, true, 0)
	a.ended()
	want("after COMMIT", &b, false, start)
	if len(a.pending) > 0 || a.counted {
		t.Errorf("left behind: %d pending, counted %v", len(a.pending), a.counted)
	}
	table.since.Store(start + 1_000_000_000)
	want("when tracking began later", &b, false, start+1_000_000_000)
}

func TestWhatWrites(t *testing.T) {
	for _, test := range []struct {
		sql           string
		writes, named bool
	}{
		{"SELECT 1", false, false},
		{"INSERT INTO pets VALUES (1)", true, true},
		{"UPDATE pets SET n = 1 FROM owners", true, true},
		{"WITH gone AS (DELETE FROM pets RETURNING *) SELECT * FROM gone", true, false},
		{"INSERT INTO pets SELECT some_function()", true, false},
		{"TRUNCATE pets", true, false},
		{"CREATE TABLE pets ()", true, false},
		{"SELECT nextval('s')", true, false},
		{"SELECT * FROM pets FOR UPDATE", true, false},
		{"COPY pets FROM STDIN", true, false},
		{"CALL p()", true, false},
		{"EXECUTE s", true, false},
		{"FETCH c", true, false},
		{"COMMIT PREPARED 'x'", true, false},
		{"NOTIFY c", false, false},
		{"BEGIN", false, false},
		{"COMMIT", false, false},
		{"SAVEPOINT a", false, false},
		{"SET x.y = 1", false, false},
		{"SHOW x", false, false},
		{"LISTEN c", false, false},
		{"INSERT INTO pets VALUES (1); INSERT INTO owners VALUES (1)", true, true},
		{"INSERT INTO pets VALUES (1); EXECUTE s", true, false},
		{"this is no SQL", true, false},
	} {
		writes, named := balancer.Writes(parser.Classify(test.sql))
		if writes != test.writes || named != test.named {
			t.Errorf("%s: writes %v, named %v; want %v, %v", test.sql, writes, named, test.writes, test.named)
		}
	}
	if writes, named := balancer.Writes(nil); !writes || named {
		t.Error("what is not parsed must count as a write of anything")
	}
}

// Many sessions write and read at once: a read never needs less than what a write that
// was answered before it began has left.
func TestWritesOfMany(t *testing.T) {
	table := newWriteTable(64)
	write, read := parser.Classify("INSERT INTO pets VALUES (1)"), parser.Classify("SELECT * FROM pets")
	var acknowledged atomic.Int64 // a time before the last answered write's answer
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			w := table.session("d", nil)
			for range 2000 {
				w.add(write, true)
				before := cluster.Now()
				w.ended()
				for old := acknowledged.Load(); old < before && !acknowledged.CompareAndSwap(old, before); old = acknowledged.Load() {
				}
			}
		})
		work.Go(func() {
			w := table.session("d", nil)
			for range 2000 {
				least := acknowledged.Load()
				if needs := w.needed(read, nil); needs < least {
					t.Errorf("reader %d: a read needs %d, a write was answered after %d", i, needs, least)
					return
				}
			}
		})
	}
	work.Wait()
	for i := range table.slots {
		if n := table.slots[i].inFlight.Load(); n != 0 {
			t.Errorf("place %d has %d writes in flight at the end", i, n)
		}
	}
}

// Whatever a session does, what it counts as in flight is taken back at its end.
func TestWritesInFlightAreTakenBack(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	table := newWriteTable(256)
	texts := []string{"INSERT INTO a VALUES (1)", "UPDATE b SET n = 1", "CREATE TABLE c ()", "COMMIT", "SELECT 1", "DELETE FROM d"}
	for range 2000 {
		w := table.session("d", nil)
		for range r.IntN(20) {
			switch r.IntN(5) {
			case 0:
				w.answered()
			case 1:
				w.committed()
			case 2:
				w.ended()
			default:
				w.add(parser.Classify(texts[r.IntN(len(texts))]), r.IntN(2) == 0)
			}
		}
		w.ended()
	}
	for i := range table.slots {
		if n := table.slots[i].inFlight.Load(); n != 0 {
			t.Fatalf("place %d has %d writes in flight at the end", i, n)
		}
	}
}

func TestManyPendingWritesAreBounded(t *testing.T) {
	table := newWriteTable(1 << 16)
	w := table.session("d", nil)
	for i := range 10_000 {
		w.keep(&table.slots[i])
	}
	if len(w.pending) > maxPendingWrites+2 {
		t.Errorf("%d places are pending", len(w.pending))
	}
	w.ended()
	other := table.session("d", nil)
	if other.unknown.needed() == 0 {
		t.Error("writes over the bound do not count as writes of anything")
	}
}

func TestLoads(t *testing.T) {
	if size := unsafe.Sizeof(nodeLoad{}); size%64 != 0 {
		t.Errorf("a node's counters take %d bytes: neighbours share a cache line", size)
	}
	var ls loads
	ls.lent(1, 1)
	ls.lent(1, 1)
	ls.lent(1, -1)
	ls.asked(1, 1)
	ls.answered(1, 800)
	ls.answered(1, 1600)
	ls.lent(maxLoads, 1) // a node that many reloads made
	ls.answered(cluster.NoNode, 1)
	got := ls.snapshot(nil, 3)
	want := []balancer.Load{{}, {Connections: 1, InFlight: 1, Latency: 900, Samples: 2}, {}}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := ls.snapshot(nil, maxLoads+10); len(got) != maxLoads {
		t.Errorf("%d loads of more nodes than have counters", len(got))
	}
}

// Every word of the configuration is known to the balancer.
func TestRoutingWords(t *testing.T) {
	seen := map[balancer.Settings]string{}
	try := func(change func(*configs.Routing), name string) {
		c := configs.Default()
		change(&c.Routing)
		b := RoutingSettings(&c)
		b.Dependencies = nil
		if other, twice := seen[b]; twice {
			t.Errorf("%s means the same as %s", name, other)
		}
		seen[b] = name
	}
	for _, w := range []string{"session", "off", "transaction", "statement"} {
		try(func(r *configs.Routing) { r.Balance = w }, "balance "+w)
	}
	for _, w := range []string{"least_connections", "fastest"} {
		try(func(r *configs.Routing) { r.Choice = w }, "choice "+w)
	}
	for _, w := range []string{"off", "trans_transaction", "always", "dml_adaptive", "dml_adaptive_global"} {
		try(func(r *configs.Routing) { r.AfterWrite = w }, "after_write "+w)
	}
	for _, w := range []string{"ignore", "primary"} {
		try(func(r *configs.Routing) { r.Comments = w }, "comments "+w)
	}
	for _, w := range []string{"cluster", "none"} {
		try(func(r *configs.Routing) { r.Consistency = w }, "consistency "+w)
	}
	try(func(r *configs.Routing) { r.Transactions = "primary" }, "transactions primary")
}

func TestPlainUnits(t *testing.T) {
	names := map[string]bool{"pets": true, "owners": true}
	for sql, want := range map[string]bool{
		"":                                  true,
		"SELECT 1":                          true,
		"SELECT * FROM pets":                true,
		"SELECT * FROM public.pets, owners": true,
		"SELECT * FROM pets, animals":       false,
		"SELECT f(n) FROM pets":             false,
		"SELECT table_to_xml('x', true, true, '')":         false,
		"INSERT INTO pets SELECT * FROM owners":            true,
		"WITH animals AS (SELECT 1) SELECT * FROM animals": true,
	} {
		if got := plain(parser.Classify(sql), names); got != want {
			t.Errorf("%q: plain %v, want %v", sql, got, want)
		}
	}
	if plain(nil, names) || plain(&parser.Verdict{Access: parser.AccessRead}, names) {
		t.Error("what is not at hand counts as plain")
	}
	if plain(parser.Classify("SELECT * FROM pets"), nil) {
		t.Error("nothing is known, and yet a relation is plain")
	}
}

// A write to one plain relation is none of another, but of everything that is not plain.
func TestWritesByRelation(t *testing.T) {
	table := newWriteTable(1 << 12)
	relations := &plainRelations{}
	names := map[string]bool{"pets": true, "rocks": true}
	relations.known.Store(&plainKnown{at: cluster.Now(), names: names})
	w, r := table.session("d", relations), table.session("d", relations)
	needs := func(sql string) int64 { return r.needed(parser.Classify(sql), names) }
	w.add(parser.Classify("INSERT INTO pets VALUES (1)"), true)
	w.ended()
	if needs("SELECT * FROM pets") == 0 || needs("SELECT * FROM animals") == 0 || needs("SELECT * FROM rocks") != 0 {
		t.Errorf("after a write of pets: pets %d, a view %d, rocks %d", needs("SELECT * FROM pets"), needs("SELECT * FROM animals"), needs("SELECT * FROM rocks"))
	}
	// A definition that changes while a write waits.
	w.add(parser.Classify("INSERT INTO pets VALUES (1)"), true)
	d := table.session("d", relations)
	d.add(parser.Classify("CREATE TRIGGER t AFTER INSERT ON pets FOR EACH ROW EXECUTE FUNCTION f()"), true)
	d.ended()
	before := cluster.Now()
	w.ended()
	if needs("SELECT * FROM rocks") < before {
		t.Error("a write that a new definition may have concerned counts for its relation only")
	}
	if names, wanted := relations.current(); names != nil || !wanted {
		t.Error("what was known before a definition changed still counts")
	}
}

func TestParsePlain(t *testing.T) {
	got := parsePlain("4:pets6:a:3:x\n2:é1:")
	if len(got) != 3 || !got["pets"] || !got["a:3:x\n"] || !got["é"] {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{"", "x", "-1:a", "9:a", ":", "99999999999999999999:a"} {
		if got := parsePlain(bad); len(got) != 0 {
			t.Errorf("%q gives %v", bad, got)
		}
	}
}
