package vip

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestChannel(t *testing.T) {
	ours, file, err := newChannel()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.close()
	theirs, err := channelOf(file)
	if err != nil {
		t.Fatal(err)
	}
	sent := toGuardian{Order: &order{Holder: true, Until: 7, Epoch: 3, Peers: []netip.Addr{netip.MustParseAddr("fd00::1")}, Reason: "why", Seq: 9}}
	if err := ours.send(sent); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, maxMessage)
	var got toGuardian
	if err := theirs.receive(buf, &got); err != nil || !reflect.DeepEqual(got, sent) {
		t.Fatalf("got %+v, %v, want %+v", got, err, sent)
	}
	// Nobody reads: it is said at once, not waited for.
	for range 100_000 {
		if err = ours.send(sent); err != nil {
			break
		}
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("a full channel: got %v, want EAGAIN", err)
	}
	theirs.close()
	if err := ours.send(sent); err == nil {
		t.Error("sending to nobody succeeds")
	}
	if err := ours.receive(buf, &got); err == nil {
		t.Error("receiving from nobody succeeds")
	}
}

func TestClientMessages(t *testing.T) {
	for _, n := range []int{0, 1, clientsPerMessage, clientsPerMessage + 1, maxClients} {
		list := make([]Connection, n)
		for i := range list {
			list[i] = Connection{netip.AddrPortFrom(netip.MustParseAddr("fd00:1111:2222:3333:4444:5555:6666:7777"), uint16(i)),
				netip.MustParseAddrPort("[fd00:1111:2222:3333:4444:5555:6666:7778]:65535")}
		}
		var got []Connection
		messages := clientMessages(list)
		for i, m := range messages {
			data, err := encode(m)
			if err != nil || len(data) > maxMessage {
				t.Fatalf("%d clients: a message of %d bytes, %v", n, len(data), err)
			}
			if m.First != (i == 0) || m.Last != (i == len(messages)-1) {
				t.Errorf("%d clients: message %d of %d: first %v, last %v", n, i, len(messages), m.First, m.Last)
			}
			got = append(got, m.Clients...)
		}
		if fmt.Sprint(got) != fmt.Sprint(list[:n:n]) && n > 0 {
			t.Errorf("%d clients: got %d back", n, len(got))
		}
	}
}

// The largest State fits into a message.
func TestStateFits(t *testing.T) {
	s := State{Mode: "netlink", Interface: "enx001122334455"}
	for range 16 {
		s.Addresses = append(s.Addresses, AddressStatus{Address: netip.MustParsePrefix("fd00:1111:2222:3333:4444:5555:6666:7777/128"),
			State: Removing, Claimant: "00:11:22:33:44:55"})
	}
	for range maxEvents {
		s.Events = append(s.Events, Event{Kind: EventStaleHolder, Address: s.Addresses[0].Address.Addr()})
	}
	for i := range s.Events {
		s.Events[i].Reason = strings.Repeat(`"<`, maxReason/2)
	}
	for i := range s.Addresses {
		s.Addresses[i].Reason = strings.Repeat(`"<`, maxReason/2)
	}
	data, err := encode(fromGuardian{s})
	if err != nil || len(data) > maxMessage {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	var back fromGuardian
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back.State, s) {
		t.Errorf("it is read as %+v (%v)", back.State, err)
	}
}
