package watchdog

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/watchdog/core"
)

// gossiped is what a member says of itself, again and again. It is a hint: it is shown, and
// says who would be a fit successor. Nothing is decided by it.
type gossiped struct {
	From    core.MemberID `json:"from"`
	Fitness core.Fitness  `json:"fitness"`
	// View is what the member's part for the nodes wants the others to know.
	View json.RawMessage `json:"view,omitempty"`
}

// gossipEvery is how often a member speaks, and maxView how long its view may be: all must
// fit into one packet.
const (
	gossipEvery = 500 * time.Millisecond
	maxView     = 900
)

// gossipTimeout is how long one exchange by TCP may take.
const gossipTimeout = 3 * time.Second

// gossip finds and watches members.
type gossip struct {
	list  *memberlist.Memberlist
	queue *memberlist.TransmitLimitedQueue
	log   *slog.Logger
	self  core.MemberID
	heard func(gossiped)
	seeds map[core.MemberID]string // where the others are

	mu    sync.Mutex
	alive map[core.MemberID]bool
	views map[core.MemberID]gossiped
}

// newGossip starts to gossip, over a transport, or over sockets of its own if that is nil.
func newGossip(w *configs.Watchdog, k *keys, log *slog.Logger, transport memberlist.Transport, heard func(gossiped)) (*gossip, error) {
	self := w.Self()
	g := &gossip{log: log, self: core.MemberID(self.Name), heard: heard, seeds: map[core.MemberID]string{}, alive: map[core.MemberID]bool{}, views: map[core.MemberID]gossiped{}}
	// What a member says goes to each of the others, not on from one to another: it would be old by then.
	g.queue = &memberlist.TransmitLimitedQueue{NumNodes: func() int { return len(w.Peers) }, RetransmitMult: len(w.Peers)}
	c := memberlist.DefaultLANConfig()
	switch w.Profile {
	case "wan":
		c = memberlist.DefaultWANConfig()
	case "fast":
		c.ProbeInterval, c.ProbeTimeout = 200*time.Millisecond, 100*time.Millisecond
	default:
		c.ProbeInterval, c.ProbeTimeout = 500*time.Millisecond, 250*time.Millisecond
	}
	c.SuspicionMult, c.TCPTimeout = 3, gossipTimeout
	ip, err := net.ResolveIPAddr("ip", self.Host)
	if err != nil {
		return nil, fmt.Errorf("find this member's address: %w", err)
	}
	c.Name, c.BindAddr, c.BindPort = self.Name, ip.String(), self.GossipPort
	c.AdvertiseAddr, c.AdvertisePort = c.BindAddr, c.BindPort
	c.Label, c.SecretKey, c.GossipVerifyIncoming, c.GossipVerifyOutgoing = w.Cluster, k.gossip, true, true
	c.Delegate, c.Events, c.Transport = g, g, transport
	c.Logger, c.LogOutput = log2(log), nil
	for _, p := range w.Peers {
		if p.Name != self.Name {
			g.seeds[core.MemberID(p.Name)] = net.JoinHostPort(p.Host, strconv.Itoa(p.GossipPort))
		}
	}
	if g.list, err = memberlist.Create(c); err != nil { // it asks for broadcasts from here on
		return nil, fmt.Errorf("start gossip: %w", err)
	}
	return g, nil
}

// log2 has memberlist's own lines at debug level: it tells of every packet that is lost.
func log2(l *slog.Logger) *log.Logger { return log.New(slogWriter{l}, "", 0) }

type slogWriter struct{ log *slog.Logger }

func (w slogWriter) Write(b []byte) (int, error) {
	w.log.Debug("library", "text", string(b))
	return len(b), nil
}

var _ io.Writer = slogWriter{}

// run speaks, and looks for members that are not there, until ctx ends.
func (g *gossip) run(ctx context.Context, say func() gossiped) {
	t := time.NewTicker(gossipEvery)
	defer t.Stop()
	var looking atomic.Bool
	for n := 0; ; n++ {
		if missing := g.missing(); n%10 == 0 && len(missing) > 0 && looking.CompareAndSwap(false, true) {
			go func() { // ends with memberlist's timeout for each of them; meanwhile this member speaks on
				defer looking.Store(false)
				if _, err := g.list.Join(missing); err != nil {
					g.log.Debug("not all members were found by gossip", "error", err)
				}
			}()
		}
		m := say()
		if len(m.View) > maxView {
			m.View = nil
		}
		if text, err := json.Marshal(m); err == nil {
			g.queue.QueueBroadcast(said(text))
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// missing is where members are that gossip has not found, or has lost.
func (g *gossip) missing() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var addresses []string
	for id, address := range g.seeds {
		if !g.alive[id] {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// stop leaves, so that others need not find out.
func (g *gossip) stop() {
	if err := g.list.Leave(200 * time.Millisecond); err != nil {
		g.log.Debug("the others did not hear that gossip ends", "error", err)
	}
	if err := g.list.Shutdown(); err != nil {
		g.log.Debug("gossip did not end well", "error", err)
	}
}

// said is one message; a newer one makes it void.
type said []byte

// Invalidates says that b is older.
func (said) Invalidates(memberlist.Broadcast) bool { return true }

// Message is the text.
func (s said) Message() []byte { return s }

// Finished does nothing.
func (said) Finished() {}

// NodeMeta says nothing: all is in messages.
func (*gossip) NodeMeta(int) []byte { return nil }

// NotifyMsg takes what another member said. The bytes are not kept.
func (g *gossip) NotifyMsg(b []byte) {
	var m gossiped
	if err := json.Unmarshal(b, &m); err != nil || m.From == g.self || m.From == "" {
		return
	}
	g.mu.Lock()
	if _, known := g.views[m.From]; known || len(g.views) < maxConns {
		g.views[m.From] = m
	}
	g.mu.Unlock()
	g.heard(m)
}

// GetBroadcasts gives what is to be said.
func (g *gossip) GetBroadcasts(overhead, limit int) [][]byte {
	return g.queue.GetBroadcasts(overhead, limit)
}

// LocalState has nothing to add.
func (*gossip) LocalState(bool) []byte { return nil }

// MergeRemoteState has nothing to take.
func (*gossip) MergeRemoteState([]byte, bool) {}

// NotifyJoin notes that a member is there.
func (g *gossip) NotifyJoin(n *memberlist.Node) { g.note(n.Name, true, "gossip found a member") }

// NotifyLeave notes that a member is gone.
func (g *gossip) NotifyLeave(n *memberlist.Node) { g.note(n.Name, false, "gossip lost a member") }

// NotifyUpdate does nothing.
func (*gossip) NotifyUpdate(*memberlist.Node) {}

func (g *gossip) note(name string, alive bool, text string) {
	g.mu.Lock()
	g.alive[core.MemberID(name)] = alive
	g.mu.Unlock()
	if core.MemberID(name) != g.self {
		g.log.Info(text, "member", name)
	}
}

func (g *gossip) isAlive(id core.MemberID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.alive[id]
}

// view is what a member last said.
func (g *gossip) view(id core.MemberID) (gossiped, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, ok := g.views[id]
	return m, ok
}
