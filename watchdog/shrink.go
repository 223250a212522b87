package watchdog

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/watchdog/core"
)

// Shrink makes the member of this data directory, which must not run, the only one of its cluster. It is for when a
// majority is lost for good. Whoever calls it vouches that the others are off, or stay cut off from the
// servers and the clients until their data directories are removed: two of two
// go on to write alone, each for itself.
//
// Of two members nothing that was committed is lost. Of more, what this one had not heard of is.
func Shrink(cfg configs.Watchdog, log *slog.Logger) (err error) {
	self := cfg.Self()
	id, err := loadIdentity(cfg.DataDir, cfg.Cluster, core.MemberID(cfg.Name))
	if err != nil {
		return err
	}
	if !id.Joined {
		return errors.New("this member has not belonged to a cluster yet")
	}
	store, err := openStore(cfg.DataDir, log, boottime)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	snapshots, err := raft.NewFileSnapshotStore(cfg.DataDir, keptSnapshots, slogWriter{log})
	if err != nil {
		return fmt.Errorf("open the snapshots: %w", err)
	}
	// Noted first: if the rest fails it is done again, and nobody takes this member for one of the old generation.
	if err := id.nextGeneration(cfg.DataDir); err != nil {
		return err
	}
	return recoverAlone(id, self, core.Builtin(), store, snapshots, log)
}

// nextGeneration notes that this member goes on alone.
func (id *identity) nextGeneration(dir string) error {
	tag := make([]byte, 4)
	if _, err := rand.Read(tag); err != nil {
		return fmt.Errorf("make a generation: %w", err)
	}
	next := *id
	next.Generations = append(slices.Clone(id.Generations), hex.EncodeToString(tag))
	next.Shrunk = true
	if err := next.save(dir); err != nil {
		return err
	}
	id.Generations, id.Shrunk = next.Generations, true // others read the rest meanwhile
	return nil
}

// recoverAlone makes the server the only one in what is stored. Raft must not run.
func recoverAlone(id *identity, self configs.Peer, commands core.Commands, store *parkedStore, snapshots raft.SnapshotStore, log *slog.Logger) error {
	c := raft.DefaultConfig()
	c.LocalID, c.LogOutput = id.Server, slogWriter{log}
	_, transport := raft.NewInmemTransport("")
	address := raft.ServerAddress(net.JoinHostPort(self.Host, strconv.Itoa(self.Port)))
	f := newFSM(commands, log, func(*core.State, uint64) {})
	err := raft.RecoverCluster(c, f, store, store, snapshots, transport,
		raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: id.Server, Address: address}}})
	if err != nil {
		return fmt.Errorf("make it the only member: %w", err)
	}
	return nil
}

// forgetOthers takes those out of the state that Shrink has taken the votes from.
func (w *Watchdog) forgetOthers() {
	if !w.identity.Shrunk {
		return
	}
	for member := range w.fsm.current().Members {
		if all, _, err := w.serversOf(member); err != nil || len(all) > 0 || member == w.self {
			continue
		}
		if err := w.propose(w.fsm.current().Make(core.KindForget, core.IDBody{ID: member})); err != nil {
			w.log.Warn("a member that was cut off is not forgotten", "peer", string(member), "error", err)
			return
		}
	}
	w.identity.Shrunk = false
	if err := w.identity.save(w.cfg.DataDir); err != nil {
		w.identity.Shrunk = true
		w.log.Warn("the identity was not written", "error", err)
	}
}

// generationsEvery is how often members that do not take part are asked for their generation.
const generationsEvery = time.Second

// watchGenerations looks whether another member was made to go on without this one. Then this
// one does not write any more, whatever it goes by.
func (w *Watchdog) watchGenerations(ctx context.Context) {
	last := ""
	list := listHash(&w.cfg)
	for {
		for _, p := range w.cfg.Peers {
			id := core.MemberID(p.Name)
			if id == w.self || !w.joined.Load() {
				continue
			}
			a, err := w.caller.call(ctx, id, request{Hello: &helloRequest{List: list}})
			if err != nil || a.Hello == nil || !a.Hello.Running {
				continue
			}
			differs := ""
			if a.Hello.List != list {
				differs = "its watchdog.peers, profile or pair are others"
			}
			w.rules.Store(&differs)
			why := ""
			switch own, theirs := w.generations.Load().([]string), a.Hello.Generations; {
			case slices.Equal(own, theirs):
			case len(theirs) > len(own) && slices.Equal(own, theirs[:len(own)]):
				why = fmt.Sprintf("%s was made to go on without this member: remove its data directory, and it joins again", id)
			case len(own) > len(theirs) && slices.Equal(theirs, own[:len(theirs)]): // it finds out itself
			default:
				why = fmt.Sprintf("this member and %s were both made to go on alone: find out which has the data that you want, and remove the other one's data directory", id)
			}
			if why != "" && why != last {
				w.log.Error("this member does not write any more", "reason", why)
				last = why
				w.feed(core.Outdated{Reason: why})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(generationsEvery):
		}
	}
}
