package core

import "fmt"

// Certificate is the word of a guardian that the process which led Term as Server is dead, and that the address is off its host. It
// stays true for ever: no process leads in a term that another one led, so it may come late, twice, and by detours.
type Certificate struct {
	Server string `json:"server"`
	Term   uint64 `json:"term"`
}

func (c Certificate) String() string {
	return fmt.Sprintf("%s, which led term %d, is dead", c.Server, c.Term)
}

// Dead ends this member's promise to a leader whose lease died with it. The error says why the certificate ends
// no promise: it must name the very leader and term that were acknowledged last. The same number of a term may be that of
// another leader where a member went on alone.
func (g *Guard) Dead(c Certificate) error {
	if c.Server == "" || c.Server != g.leader || c.Term != g.term {
		return fmt.Errorf("the leader acknowledged last is %q in term %d, not %q in term %d", g.leader, g.term, c.Server, c.Term)
	}
	g.Yielded(c.Term)
	return nil
}
