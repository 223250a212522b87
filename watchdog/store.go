package watchdog

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	bolt "go.etcd.io/bbolt"
)

// slowDisk is how long one access may take before the member counts as unfit.
const slowDisk = time.Second

// parkedStore is raft's log and its vote on disk. Raft panics when it cannot save a term, and a
// full disk must not kill the clients' connections. So an access that fails is tried
// again until it succeeds. Meanwhile raft's main loop stands still and the member takes no part
// in anything, which is safe.
type parkedStore struct {
	*raftboltdb.BoltStore
	log *slog.Logger
	now func() time.Duration
	// reads and writes are kept apart: a full disk can be read, and that must not make it look well.
	reads, writes accesses
	done          chan struct{}
	// access wraps every access; tests break the disk with it.
	access atomic.Pointer[func(func() error) error]
}

// accesses are the store's reads, or its writes.
type accesses struct {
	began  atomic.Int64 // when the one under way began, 0 if there is none; one at a time is noted
	failed atomic.Bool
}

func (a *accesses) healthy(now time.Duration) bool {
	began := a.began.Load()
	return !a.failed.Load() && (began == 0 || now-time.Duration(began) < slowDisk)
}

func openStore(dir string, log *slog.Logger, now func() time.Duration) (*parkedStore, error) {
	b, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, "raft.db"), BoltOptions: &bolt.Options{Timeout: 5 * time.Second}})
	if err != nil {
		return nil, fmt.Errorf("open the log in %s (does another process use it?): %w", dir, err)
	}
	s := &parkedStore{BoltStore: b, log: log, now: now, done: make(chan struct{})}
	s.access.Store(&direct)
	return s, nil
}

// direct accesses the disk.
var direct = func(access func() error) error { return access() }

// healthy says whether what must be stored is stored in time.
func (s *parkedStore) healthy() bool {
	return s.reads.healthy(s.now()) && s.writes.healthy(s.now())
}

// retry does an access until it succeeds. After the end of the store it never returns,
// as raft would panic.
func (s *parkedStore) retry(a *accesses, what string, access func() error) {
	a.began.Store(int64(s.now()))
	defer a.began.Store(0)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := (*s.access.Load())(access)
		if err == nil {
			if a.failed.Swap(false) {
				s.log.Info("the watchdog's disk works again", "access", what)
			}
			return
		}
		if !a.failed.Swap(true) {
			s.log.Error("the watchdog's disk fails; this member takes no part until it works", "access", what, "error", err)
		}
		select {
		case <-time.After(wait):
		case <-s.done:
			select {}
		}
	}
}

func absent(err error) bool {
	return errors.Is(err, raftboltdb.ErrKeyNotFound) || errors.Is(err, raft.ErrLogNotFound)
}

// StoreLog stores one entry.
func (s *parkedStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores entries.
func (s *parkedStore) StoreLogs(logs []*raft.Log) error {
	s.retry(&s.writes, "write the log", func() error { return s.BoltStore.StoreLogs(logs) })
	return nil
}

// DeleteRange removes entries.
func (s *parkedStore) DeleteRange(low, high uint64) error {
	s.retry(&s.writes, "shorten the log", func() error { return s.BoltStore.DeleteRange(low, high) })
	return nil
}

// GetLog reads an entry.
func (s *parkedStore) GetLog(index uint64, into *raft.Log) (err error) {
	s.retry(&s.reads, "read the log", func() error {
		if err = s.BoltStore.GetLog(index, into); absent(err) {
			return nil
		}
		return err
	})
	return err
}

// Set stores a value.
func (s *parkedStore) Set(key, value []byte) error {
	s.retry(&s.writes, "write a vote", func() error { return s.BoltStore.Set(key, value) })
	return nil
}

// SetUint64 stores a number.
func (s *parkedStore) SetUint64(key []byte, value uint64) error {
	s.retry(&s.writes, "write the term", func() error { return s.BoltStore.SetUint64(key, value) })
	return nil
}

// term is the highest one that raft has stored, before which it acknowledges and grants nothing; 0 at the very beginning.
func (s *parkedStore) term() (uint64, error) {
	term, err := s.GetUint64([]byte("CurrentTerm")) // raft's own key
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the term: %w", err)
	}
	return term, nil
}

// close ends the store. Raft must have ended before, or it is stuck for ever.
func (s *parkedStore) close() error {
	close(s.done)
	return s.BoltStore.Close()
}
