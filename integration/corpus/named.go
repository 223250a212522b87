package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// named is howdah's judgement of a statement in the very session that sends it.
type named struct {
	// Read: a standby might have it, if the session were in no transaction that
	// wrote and the standby had replayed enough.
	Read bool `json:"read"`
	// Reason is why, in howdah's words.
	Reason string `json:"reason"`
	// Temporary: the session has temporary objects, which the trial's sessions have not. A
	// label "equal" then says little of what the statement means in this session.
	Temporary bool `json:"temporary,omitempty"`
}

// learnTimeout bounds the wait for howdah to read the catalogs after a definition changed.
const learnTimeout = 20 * time.Second

// notKnownYet are howdah's words while it does not know what names mean.
var notKnownYet = [...]string{"catalog not read yet", "the catalog is being read"}

// notFound are its words for a function that nobody knows. One that was made just now may be among them on a busy
// machine, so that is asked again for a moment.
const (
	notFound     = "not found, taken for a writer"
	notFoundWait = time.Second
)

func knownYet(report string) bool {
	return !slices.ContainsFunc(notKnownYet[:], func(words string) bool { return strings.Contains(report, words) })
}

// ask has howdah judge a text by EXPLAIN (HOWDAH), in the psql session's own state.
// Nothing runs on any server. Of a text that cannot be explained the answer is nil.
func (w *watcher) ask(server net.Conn, sql string) (*named, error) {
	question := "EXPLAIN (HOWDAH, FORMAT JSON) " + sql
	frame := append([]byte{'Q', 0, 0, 0, 0}, question...)
	frame = append(frame, 0)
	binary.BigEndian.PutUint32(frame[1:], uint32(len(frame)-1))
	began := time.Now()
	for deadline := began.Add(learnTimeout); ; time.Sleep(2 * time.Millisecond) {
		w.asking.Store(true) // nothing is under way: what comes now is the answer
		if _, err := server.Write(frame); err != nil {
			return nil, fmt.Errorf("ask howdah: %w", err)
		}
		o, ok := <-w.answered
		w.asking.Store(false)
		if !ok {
			return nil, fmt.Errorf("ask howdah of %q: it hung up", oneLine(sql))
		}
		if o.code != "" || len(o.results) == 0 || len(o.results[0].rows) == 0 {
			return nil, nil
		}
		report := o.results[0].rows[0]
		if !knownYet(report) && time.Now().Before(deadline) {
			continue
		}
		if strings.Contains(report, notFound) && time.Since(began) < notFoundWait {
			continue
		}
		return judgementOf(report)
	}
}

// judgementOf reads what EXPLAIN (HOWDAH) says. Where the statement would run at this
// moment depends on the block around it and on replay; what it is, and what
// the session holds, does not.
func judgementOf(report string) (*named, error) {
	var r struct {
		Access, Rule, Reason string
		Session              []string
	}
	if err := json.Unmarshal([]byte(report), &r); err != nil {
		return nil, fmt.Errorf("read howdah's report: %w", err)
	}
	n := &named{Read: r.Access == "read" || r.Access == "none", Reason: r.Rule + ": " + r.Reason,
		Temporary: slices.Contains(r.Session, "pin: temporary objects")}
	switch r.Rule {
	case "pinned", "learned":
		n.Read = false
	}
	return n, nil
}
