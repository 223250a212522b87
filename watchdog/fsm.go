package watchdog

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// fsm is the agreed state as raft drives it.
type fsm struct {
	commands core.Commands
	log      *slog.Logger
	// changed hears of every state, in order.
	changed func(s *core.State, index uint64)

	mu    sync.Mutex
	state *core.State
	// behind: a command came that this version does not know. From there on it applies nothing,
	// and makes no snapshot: a newer version finds the rest in the log.
	behind error
}

func newFSM(commands core.Commands, log *slog.Logger, changed func(*core.State, uint64)) *fsm {
	state, err := core.DecodeState([]byte("{}"))
	if err != nil {
		panic(err) // the empty state can be read
	}
	return &fsm{commands: commands, log: log, changed: changed, state: state}
}

// Apply carries out a committed command. The answer is an error or nil.
func (f *fsm) Apply(l *raft.Log) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.behind != nil {
		return f.behind
	}
	next, err := f.commands.Apply(f.state, l.Index, l.Data)
	if errors.Is(err, core.ErrUnknownCommand) {
		f.behind = err
		f.log.Error("a newer version is in command; this member takes no part in decisions until it is upgraded", "error", err)
		return err
	}
	f.state = next
	f.changed(next, l.Index)
	if err != nil {
		return err
	}
	return nil
}

// Snapshot is the state, to be stored.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.behind != nil {
		return nil, fmt.Errorf("make no snapshot: %w", f.behind)
	}
	text, err := f.state.Encode()
	return snapshot(text), err
}

// maxSnapshot is far more than a state of bounded lists can take.
const maxSnapshot = 16 << 20

// Restore takes a stored state.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxSnapshot))
	if err != nil {
		return fmt.Errorf("read a snapshot: %w", err)
	}
	s, err := core.DecodeState(text)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state, f.behind = s, nil
	f.changed(s, 0)
	return nil
}

func (f *fsm) isBehind() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.behind
}

func (f *fsm) current() *core.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

type snapshot []byte

// Persist writes the state.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s); err != nil {
		return errors.Join(fmt.Errorf("write a snapshot: %w", err), sink.Cancel())
	}
	return sink.Close()
}

// Release has nothing to free.
func (s snapshot) Release() {}
