package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/howdah/howdah/parser"
)

// What a client makes howdah keep is bounded, by its number and by its size.

func TestStatementMemory(t *testing.T) {
	var st statements
	text := []byte(strings.Repeat("x", 1000))
	for round := range 3 {
		var all []*prepared
		for i := range 10 {
			all = append(all, st.parsed(fmt.Appendf(nil, "s%d", i), text, nil, uint64(round)))
		}
		if st.held < 10*len(text) || st.held > 10*(len(text)+2*preparedSize) {
			t.Fatalf("ten statements of %d bytes take %d", len(text), st.held)
		}
		st.forget(all[0])
		st.forget(all[0]) // twice is once
		st.restore(all[0])
		st.restore(all[0])
		if round == 0 {
			st.forgetAll()
		} else {
			for _, p := range all {
				st.forget(p)
			}
		}
		if st.held != 0 || len(st.named) != 0 {
			t.Fatalf("no statements take %d bytes", st.held)
		}
	}
}

func TestPortalNames(t *testing.T) {
	var st statements
	v := &parser.Verdict{}
	st.bound([]byte(strings.Repeat("p", maxPortalName+1)), v, 10)
	for i := range 100 {
		st.bound(fmt.Appendf(nil, "p%d", i), v, 10)
	}
	if len(st.portals) != 10 {
		t.Errorf("%d portals are kept, want 10", len(st.portals))
	}
}

func TestSizeOfSettings(t *testing.T) {
	var st state
	long := strings.Repeat("v", maxSettingsSize/4)
	for i := range 8 {
		st.set(&parser.Statement{Set: parser.SetValue, Setting: fmt.Sprintf("my.s%d", i), SQL: "SET my.s = " + long, Value: long})
		st.repin()
	}
	if !st.opaque || settingsSize(st.settings) > maxSettingsSize {
		t.Errorf("opaque is %v with %d bytes of settings", st.opaque, settingsSize(st.settings))
	}
}

func TestSizeOfPending(t *testing.T) {
	s := &session{}
	long := "SET my.s = '" + strings.Repeat("v", 1000) + "'"
	for range 10 * maxPendingSize / len(long) {
		s.note(&parser.Statement{Set: parser.SetValue, Kind: parser.KindSet, Setting: "my.s", SQL: long})
		if size := pendingSize(s.state.pending); size > maxPendingSize {
			t.Fatalf("%d bytes of pending changes", size)
		}
	}
	if !s.state.opaque {
		t.Error("the session is not taken for one that cannot be repeated")
	}
}

func TestRoomOfAUnit(t *testing.T) {
	u := &unit{msgs: make([]message, 0, maxUnitMessages)}
	if u.reset(); cap(u.msgs) > keptMessages {
		t.Errorf("room for %d messages is kept", cap(u.msgs))
	}
	l := &lease{}
	for range 10 * keptReplies {
		l.expect(expected{})
	}
	for l.owes() {
		l.pop()
	}
	if l.expect(expected{}); cap(l.owed) > keptReplies {
		t.Errorf("room for %d replies is kept", cap(l.owed))
	}
}
