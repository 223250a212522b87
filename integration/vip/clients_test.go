package vip_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/vip"
)

// clients of each address family in the tests.
const clientCount = "500"

// The holder's host is cut off without a word. Clients that wait for its answer get a
// reset when the other host takes over, as it knows of their connections.
func TestClientsOfADeadHolder(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "a", "b", "c")
	a, b, c := n.hosts["a"], n.hosts["b"], n.hosts["c"]
	first, second := a.startHolder(netlinkVIP()), b.startHolder(netlinkVIP())
	first.hold(time.Second, "")
	servers := []string{vip4 + ":5432", "[" + vip6 + "]:5432"}
	var clients []*program
	for _, h := range []*host{a, b} { // both are ready before they have the address
		for _, s := range servers {
			h.startProgram("server", s).expect("listening")
		}
	}
	for _, s := range servers {
		p := c.startProgram("clients", s, clientCount)
		p.expect("connected")
		clients = append(clients, p)
	}
	var list []vip.Connection
	within(t, patience, "all connections are listed", func() bool {
		first.mu.Lock()
		counted := first.counted
		first.mu.Unlock()
		first.say("list")
		within(t, patience, "a list", func() bool {
			first.mu.Lock()
			defer first.mu.Unlock()
			list = first.connections
			return first.counted > counted
		})
		return len(list) == 1000
	})
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	second.say("clients %s", data)

	n.unplug("a")
	started := time.Now()
	second.hold(time.Second, "")
	for _, p := range clients {
		for range 500 {
			if l := p.expect("ended:"); !strings.Contains(l, "connection reset by peer") {
				t.Fatal(l)
			}
		}
	}
	t.Logf("%d clients were reset within %s", len(list), time.Since(started))
}

// A holder that gives the address up in order disconnects its clients before.
func TestClientsOfAReleasedAddress(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "a", "c")
	a, c := n.hosts["a"], n.hosts["c"]
	p := a.startHolder(netlinkVIP())
	p.hold(2*time.Second, "")
	var clients []*program
	for _, s := range []string{vip4 + ":5432", "[" + vip6 + "]:5432"} {
		a.startProgram("server", s).expect("listening")
		clients = append(clients, c.startProgram("clients", s, "20"))
	}
	for _, client := range clients {
		client.expect("connected")
	}
	p.say("release")
	for _, client := range clients {
		for range 20 {
			if l := client.expect("ended:"); !strings.Contains(l, "connection reset by peer") {
				t.Fatal(l)
			}
		}
	}
	within(t, patience, "the address is gone", gone(a))
}
