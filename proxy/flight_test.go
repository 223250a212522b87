package proxy_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// Those that read all the time have their goroutines rest once, as nothing wakes these any more: but for one read in 50 ms, of any of them.
func TestReadersRestOnce(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) { c.Pool.Mode = configs.PoolTransaction }, primary, standby)
	var clients []*client
	for range 200 {
		c := connectAs(t, h.addr, "u")
		c.goFast("SELECT x")
		clients = append(clients, c)
	}
	const seconds = 5
	rested := map[string]bool{}
	for end := time.Now().Add(seconds * time.Second); time.Now().Before(end); {
		for _, c := range clients {
			c.query("SELECT x")
		}
		for _, id := range restingIDs() {
			rested[id] = true
		}
	}
	if low, high := len(clients), len(clients)+20*(seconds+1); len(rested) < low || len(rested) > high {
		t.Errorf("%d sessions rested %d times, want %d to %d", len(clients), len(rested), low, high)
	}
}

// A client that leaves while it is answered costs no server connection.
func TestClientLeavesInFlight(t *testing.T) {
	for _, mode := range []string{configs.PoolSession, configs.PoolTransaction} {
		t.Run(mode, func(t *testing.T) {
			primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
			h := start(t, func(c *configs.Config) { c.Pool.Mode = mode }, primary, standby)
			for range 10 {
				c := connectAs(t, h.addr, "u")
				c.goFast("SELECT x")
				asked, left := make(chan struct{}), make(chan struct{})
				standby.scripted(func(_ *fakeConn, typ byte, body []byte) answer {
					if typ == wire.Query && string(body) == "SELECT x\x00" {
						close(asked)
						<-left
					}
					return pass
				})
				c.send(wire.AppendQuery(nil, "SELECT x"))
				<-asked
				raw, _ := c.NetConn().(syscall.Conn).SyscallConn()
				raw.Control(func(fd uintptr) {
					unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
				})
				c.Close() // a reset: howdah's write fails at once
				standby.scripted(nil)
				time.Sleep(5 * time.Millisecond) // it is on its way
				close(left)
				h.settled(t, 1)
			}
			if n := standby.opened.Load(); n != 1 {
				t.Errorf("%d connections were opened", n)
			}
		})
	}
}

// A client that sends nothing behind its last request is answered, and its session ends: nobody asks the kernel for clients that are gone.
func TestClientEndsWithItsRequest(t *testing.T) {
	for _, mode := range []string{configs.PoolSession, configs.PoolTransaction} {
		for sql, want := range map[string]string{
			"SELECT x":                     "T D(standby) C(SELECT 1) Z(I)",
			"INSERT INTO x DEFAULT VALUES": "C(INSERT) Z(I)",
		} {
			t.Run(mode+" "+sql, func(t *testing.T) {
				h := start(t, func(c *configs.Config) { c.Pool.Mode = mode }, newFake(t, "primary", false), newFake(t, "standby", true))
				for range 30 {
					c := connectAs(t, h.addr, "u")
					c.goFast("SELECT x")
					c.send(wire.AppendQuery(nil, sql))
					if err := c.NetConn().(interface{ CloseWrite() error }).CloseWrite(); err != nil {
						t.Fatal(err)
					}
					if got := c.answer(); got != want {
						t.Fatalf("got %s, want %s", got, want)
					}
					if got := c.answer(); got != "EOF" {
						t.Fatalf("the end: %s", got)
					}
				}
			})
		}
	}
}

// Of a read that the server's socket does not take at once nothing is lost, nor sent twice.
func TestServerReadsLate(t *testing.T) {
	const queries = 100
	query := func(i int) string { return fmt.Sprintf("SELECT z WHERE '%05d%s'", i, strings.Repeat("z", 7000)) }
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	c := connectAs(t, h.addr, "u")
	c.goFast("SELECT z WHERE 'x'")
	var mu sync.Mutex
	var asked []string
	answered := 0 // before they were read
	standby.scripted(func(c *fakeConn, typ byte, body []byte) answer {
		text := strings.TrimSuffix(string(body), "\x00")
		if !strings.HasPrefix(text, "SELECT z") {
			return pass
		}
		mu.Lock()
		defer mu.Unlock()
		if asked = append(asked, text); len(asked) > 1 {
			if len(asked) <= answered {
				return done
			}
			return pass
		}
		raw, _ := c.NetConn().(syscall.Conn).SyscallConn()
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10) })
		sender := holdLittle(t, c.NetConn())
		for whole := true; whole && answered < queries; {
			c.Write(join(columns1, appendRow(nil, "standby"), selected, idle))
			answered++
			whole = false
			for end := time.Now().Add(300 * time.Millisecond); !whole && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond) // the next one is on its way
				unread := 0
				raw.Control(func(fd uintptr) { unread, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
				unsent, _ := unix.IoctlGetInt(sender, unix.TIOCOUTQ)
				whole = unread+len(c.Buffered())+unsent >= answered*(len(query(0))+wire.HeaderSize+1)
			}
		}
		return done
	})
	other := connectAs(t, h.addr, "u")
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() { // mostly its reads become the examples, which are planned, and not c's
		for {
			select {
			case <-stop:
				return
			default:
				other.query("SELECT x")
			}
		}
	})
	defer asking.Wait()
	defer close(stop)
	for i := range queries {
		if got := c.query(query(i)); got != "T D(standby) C(SELECT 1) Z(I)" {
			t.Fatalf("query %d: %s", i, got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if answered < 2 || answered == queries {
		t.Errorf("%d were sent, and not read, before the socket was full", answered)
	}
	for i := range queries {
		if asked[i] != query(i) {
			t.Fatalf("query %d came as %.40q, %d bytes", i, asked[i], len(asked[i]))
		}
	}
}

// queueBehind has the holder's read take the standby's only connection until goOn is called, and c's wait for that.
func (h *harness) queueBehind(t *testing.T, standby *fake, holder, c *client) (goOn func()) {
	t.Helper()
	asked, gate := make(chan struct{}), make(chan struct{})
	standby.scripted(func(_ *fakeConn, typ byte, body []byte) answer {
		if typ == wire.Query && string(body) == "SELECT y\x00" {
			close(asked)
			<-gate
		}
		return pass
	})
	holder.send(wire.AppendQuery(nil, "SELECT y"))
	<-asked
	c.send(wire.AppendQuery(nil, "SELECT x"))
	h.waits(t, 1)
	return func() { close(gate) }
}

// A read that waits for a connection goes by the rules and the nodes of when it is sent: not to one that is not to be read any more.
func TestChangesInTheQueue(t *testing.T) {
	for what, change := range map[string]func(h *harness, c *configs.Config) error{
		"rules": func(h *harness, c *configs.Config) error {
			c.Routing.PrimaryPatterns = []string{"^select x"}
			return h.proxy.Reconfigure(c)
		},
		"weight": func(h *harness, c *configs.Config) error {
			c.Backends = slices.Clone(c.Backends)
			c.Backends[1].Weight = 0
			if err := h.cluster.Reconfigure(c.Backends, c.ReplicationCheck); err != nil {
				return err
			}
			wait, stop := context.WithTimeout(context.Background(), patience)
			defer stop()
			_, err := h.cluster.WaitFor(wait, func(v *cluster.View) bool { return v.Nodes[1].Weight == 0 })
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
			var config configs.Config
			h := start(t, func(c *configs.Config) {
				c.Pool.Mode, c.Pool.MaxPerNode = configs.PoolTransaction, 1
				config = *c
			}, primary, standby)
			holder, c := connectAs(t, h.addr, "u"), connectAs(t, h.addr, "u")
			holder.goFast("SELECT y")
			c.goFast("SELECT x")
			goOn := h.queueBehind(t, standby, holder, c)
			if err := change(h, &config); err != nil {
				t.Fatal(err)
			}
			goOn()
			if got := c.answer(); got != "T D(primary) C(SELECT 1) Z(I)" {
				t.Errorf("got %s", got)
			}
			holder.answer()
			h.settled(t, 1)
		})
	}
}

// A read that waits for a connection while the nodes are probed goes the fast way all the same: each probe makes a new view, which
// mostly says what the one before said.
func TestViewsChangeInTheQueue(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) { c.Pool.Mode, c.Pool.MaxPerNode = configs.PoolTransaction, 1 }, primary, standby)
	holder, c, other := connectAs(t, h.addr, "u"), connectAs(t, h.addr, "u"), connectAs(t, h.addr, "u")
	holder.goFast("SELECT y")
	c.goFast("SELECT x")
	const rounds = 10
	before := other.fastReads()
	for range rounds {
		goOn := h.queueBehind(t, standby, holder, c)
		seen := h.cluster.View()
		h.cluster.Refresh()
		for end := time.Now().Add(patience); h.cluster.View() == seen; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the view does not change")
			}
		}
		goOn()
		for who, from := range []*client{holder, c} {
			if got := from.answer(); got != "T D(standby) C(SELECT 1) Z(I)" {
				t.Fatalf("%d: got %s", who, got)
			}
		}
	}
	if fast := other.fastReads() - before; fast < 3*rounds/2 { // of two in each; some are planned for other reasons
		t.Errorf("%d of %d reads went the fast way", fast, 2*rounds)
	}
}

// A read that waits for a connection in a loop is told of it, canceled, or refused as any other, and leaves no trace in the queue.
func TestFlightsInTheQueue(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) {
		c.Pool.Mode, c.Pool.MaxPerNode = configs.PoolTransaction, 1
		c.Pool.NoticeAfter, c.Pool.WaitTimeout = 50*time.Millisecond, 400*time.Millisecond
	}, primary, standby)
	holder := connectAs(t, h.addr, "u")
	holder.goFast("SELECT y")
	c := dial(t, h.addr)
	c.send(startupPacket("user", "u", "database", "d"))
	var key []byte
	for typ := byte(0); typ != wire.ReadyForQuery; {
		var msg []byte
		var err error
		if typ, msg, err = c.Next(1000); err != nil {
			t.Fatal(err)
		}
		if typ == wire.BackendKeyData {
			key = append(key, msg[wire.HeaderSize:]...)
		}
	}
	const onStandby = "T D(standby) C(SELECT 1) Z(I)"
	for round, want := range []string{
		"N(NOTICE 00000) " + onStandby,
		"E(ERROR 57014) Z(I)",
		"N(NOTICE 00000) E(ERROR 53300) Z(I)",
	} {
		c.goFast("SELECT x")
		goOn := h.queueBehind(t, standby, holder, c)
		if round == 1 {
			cancel := dial(t, h.addr)
			b := binary.BigEndian.AppendUint32(nil, uint32(8+len(key)))
			cancel.send(append(binary.BigEndian.AppendUint32(b, 80877102), key...))
			cancel.readAll()
		}
		if round == 0 {
			time.AfterFunc(150*time.Millisecond, goOn)
		}
		if got := c.answer(); got != want {
			t.Errorf("round %d: got %s, want %s", round, got, want)
		}
		if round > 0 {
			goOn()
		}
		if got := holder.answer(); got != onStandby {
			t.Errorf("round %d: who had the connection got %s", round, got)
		}
		standby.scripted(nil)
		if got := c.query("SELECT x"); got != onStandby {
			t.Errorf("round %d: afterwards %s", round, got)
		}
		h.settled(t, 1)
	}
}
