package proxy_test

import (
	"math"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// steady is one way to ask, again and again, without allocating on either side.
type steady struct {
	name string
	// before is sent once; request is sent every time after the digits at its marks were replaced.
	before, request []byte
	digits          []int // where a literal of 9 digits is
}

// nines marks the place of a literal.
const nines = "999999999"

func steadies() []steady {
	const text = "SELECT abalance FROM pgbench_accounts WHERE aid = " + nines
	bind := func(b []byte, name string) []byte {
		b = wire.AppendMessage(b, wire.Bind, "\x00", name, "\x00\x00\x00\x00\x00\x00\x00")
		b = wire.AppendMessage(b, wire.Describe, "P\x00")
		b = wire.AppendMessage(b, wire.Execute, "\x00\x00\x00\x00\x00")
		return wire.AppendMessage(b, wire.Sync)
	}
	parse := func(b []byte, name string) []byte {
		return wire.AppendMessage(b, wire.Parse, name, "\x00", text, "\x00\x00\x00")
	}
	all := []steady{
		{name: "Simple", request: wire.AppendQuery(nil, text)},
		{name: "Extended", request: bind(parse(nil, ""), "")},
		{name: "Prepared", before: wire.AppendMessage(parse(nil, "p1"), wire.Sync), request: bind(nil, "p1")},
	}
	for i := range all {
		for j := 0; j+len(nines) <= len(all[i].request); j++ {
			if string(all[i].request[j:j+len(nines)]) == nines {
				all[i].digits = append(all[i].digits, j)
			}
		}
	}
	return all
}

// prompt answers a read at once, from bytes made before.
func prompt() func(c *fakeConn, typ byte, body []byte) answer {
	var row []byte
	row = appendRow(appendColumns(row, 1), "42")
	simple := wire.AppendReady(wire.AppendMessage(row, wire.CommandComplete, "SELECT 1\x00"), wire.TxIdle)
	messages := map[byte][]byte{}
	messages[wire.Parse] = wire.AppendMessage(nil, wire.ParseComplete)
	messages[wire.Bind] = wire.AppendMessage(nil, wire.BindComplete)
	messages[wire.Describe] = appendColumns(nil, 1)
	messages[wire.Execute] = wire.AppendMessage(appendRow(nil, "42"), wire.CommandComplete, "SELECT 1\x00")
	messages[wire.Sync] = wire.AppendReady(nil, wire.TxIdle)
	messages[wire.Query] = simple
	return func(c *fakeConn, typ byte, body []byte) answer {
		c.out = append(c.out, messages[typ]...)
		if typ == wire.Sync || typ == wire.Query {
			c.Write(c.out)
			c.out = c.out[:0]
		}
		return done
	}
}

// asker sends a steady's requests one after another.
type asker struct {
	*client
	steady
	number int
	addr   string // howdah's
}

func newAsker(t testing.TB, st steady, change func(*configs.Config)) *asker {
	t.Helper()
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, change, primary, standby)
	standby.scripted(prompt())
	if change == nil {
		primary.scripted(func(*fakeConn, byte, []byte) answer { t.Error("a read came to the primary"); return hangUp })
	} else {
		primary.scripted(prompt()) // it is asked about its relations
	}
	a := &asker{client: connectAs(t, h.addr, "u", "application_name", "steady"), steady: st, number: 100_000_000, addr: h.addr}
	if st.before != nil {
		a.send(st.before)
		a.client.answer()
	}
	for range 300 { // caches, buffers
		a.once()
	}
	return a
}

// once asks with new literals and reads the answer.
func (a *asker) once() {
	a.number++
	for _, at := range a.digits {
		strconv.AppendInt(a.request[at:at], int64(a.number), 10)
	}
	if err := a.Write(a.request); err != nil {
		a.t.Fatal(err)
	}
	for {
		typ, _, err := a.Next(1 << 16)
		if err != nil || typ == wire.ErrorResponse {
			a.t.Fatalf("answer %q, error %v", typ, err)
		}
		if typ == wire.ReadyForQuery {
			return
		}
	}
}

// One query there and back, everything included (client, session, server),
// allocates nothing once it is known.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	if raceDetector {
		return // sync.Pool forgets at random under it
	}
	for _, st := range steadies() {
		t.Run(st.name, func(t *testing.T) {
			a := newAsker(t, st, nil)
			a.allocatesNothing(t)
		})
	}
	// Nor does it where each query borrows a connection.
	for _, st := range steadies() {
		t.Run("Shared"+st.name, func(t *testing.T) {
			a := newAsker(t, st, func(c *configs.Config) { c.Pool.Mode = configs.PoolTransaction })
			before, number := a.fastReads(), a.number
			a.allocatesNothing(t)
			if fast, all := a.fastReads()-before, a.number-number; fast < all/2 {
				t.Errorf("%d of %d reads went the fast way", fast, all)
			}
		})
	}
	// Nor where it waits for one that another session has.
	t.Run("Queued", func(t *testing.T) {
		a := newAsker(t, steadies()[0], func(c *configs.Config) { c.Pool.Mode, c.Pool.MaxPerUser = configs.PoolTransaction, 1 })
		b := &asker{client: connectAs(t, a.addr, "u", "application_name", "steady"), steady: steadies()[0], number: 200_000_000}
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					b.once()
				}
			}
		}()
		a.allocatesNothing(t)
		close(stop)
		<-stopped
	})
	// What looks at others' work and writes does so without allocating, too.
	t.Run("Cluster", func(t *testing.T) {
		newAsker(t, steadies()[0], func(c *configs.Config) {
			c.Routing.Consistency, c.Routing.Choice, c.Routing.AfterWrite = "cluster", "fastest", "dml_adaptive"
		}).allocatesNothing(t)
	})
}

func (a *asker) allocatesNothing(t *testing.T) {
	const queries = 5000
	a.nc.SetDeadline(time.Now().Add(10 * patience))
	least := math.Inf(1)
	// On a busy machine it takes long enough for others, the probes say, to allocate.
	for try := 0; try < 3 && least >= 0.05; try++ {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range queries {
			a.once()
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/queries)
	}
	if least >= 0.05 {
		t.Errorf("%.2f allocations per query, want 0", least)
	}
}

func benchmarkSession(b *testing.B, name string) {
	for _, st := range steadies() {
		if st.name != name {
			continue
		}
		a := newAsker(b, st, nil)
		a.nc.SetDeadline(noDeadline)
		b.ReportAllocs()
		for b.Loop() {
			a.once()
		}
		return
	}
	b.Fatal("no such steady")
}

func BenchmarkSessionSimple(b *testing.B)   { benchmarkSession(b, "Simple") }
func BenchmarkSessionExtended(b *testing.B) { benchmarkSession(b, "Extended") }
func BenchmarkSessionPrepared(b *testing.B) { benchmarkSession(b, "Prepared") }
