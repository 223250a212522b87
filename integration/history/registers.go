package history

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Access is one operation on a register: a read, a write, or a compare-and-set.
type Access struct {
	Key  int
	Kind AccessKind
	// Old is what a compare-and-set compares with; New is what is written.
	Old, New int64
}

// AccessKind is what an access does.
type AccessKind int

// The kinds of accesses.
const (
	Read AccessKind = iota
	Write
	CompareAndSet
)

// Registers are accesses to registers, which are 0 at first. Its methods may be called by any goroutine.
type Registers struct {
	mu    sync.Mutex
	start time.Time
	ops   []porcupine.Operation
}

// NewRegisters begins a history now.
func NewRegisters() *Registers { return &Registers{start: time.Now()} }

// forever is when an access of unknown fate ends.
const forever = int64(1 << 62)

// Note keeps an access that was begun at a time and ends now. result is what was read, or 1 if the compare-and-set wrote, else 0.
func (r *Registers) Note(client int, a Access, began time.Time, result int64, f Fate) {
	if f == Undone || f == Unknown && a.Kind == Read {
		return
	}
	ended := time.Since(r.start)
	r.mu.Lock()
	defer r.mu.Unlock()
	op := porcupine.Operation{ClientId: client, Input: a, Call: int64(began.Sub(r.start)), Output: answer{result, true}, Return: int64(ended)}
	if f == Unknown { // porcupine wants one operation of a client at a time: this one is nobody's any more
		op.ClientId, op.Output, op.Return = 1000+len(r.ops), answer{}, forever
	}
	r.ops = append(r.ops, op)
}

// answer is what an access returned, if that is known.
type answer struct {
	value int64
	known bool
}

// Len is how many accesses are kept.
func (r *Registers) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ops)
}

// Check is an error if no order of the accesses explains what they returned, or if that was not found out within timeout.
func (r *Registers) Check(timeout time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch porcupine.CheckOperationsTimeout(registerModel, r.ops, timeout) {
	case porcupine.Illegal:
		return errors.New("the registers are not linearizable")
	case porcupine.Unknown:
		return fmt.Errorf("whether the registers are linearizable was not found out within %v, of %d accesses", timeout, len(r.ops))
	}
	return nil
}

// registerModel is one register after the other.
var registerModel = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[int][]porcupine.Operation{}
		for _, op := range all {
			k := op.Input.(Access).Key
			byKey[k] = append(byKey[k], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		now, a, out := state.(int64), input.(Access), output.(answer)
		switch a.Kind {
		case Read:
			return out.value == now, now
		case Write:
			return true, a.New
		}
		wrote := now == a.Old
		if out.known && wrote != (out.value == 1) {
			return false, now
		}
		if wrote {
			return true, a.New
		}
		return true, now
	},
}
