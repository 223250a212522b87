package watchdog

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/watchdog/core"
)

// identity is what a data directory says of its member. A directory that was lost gets
// another one: a voter that has forgotten its votes must not vote under the old name.
type identity struct {
	Member  core.MemberID `json:"member"`
	Cluster string        `json:"cluster"`
	// Server is the name that raft knows, the member's with a random end.
	Server raft.ServerID `json:"server"`
	// Plan is set when all members of the list were seen, each with a directory as empty as
	// this one: the configuration that the cluster begins with. Who has it may begin the
	// cluster, even if others did already.
	Plan *plan `json:"plan,omitempty"`
	// Joined is set when the cluster has this server, by the plan or by its leader's word. Until
	// then it is deaf: what is sent to its address is meant for a server that it was before,
	// and has forgotten.
	Joined bool `json:"joined,omitempty"`
	// Generations has a tag for each time that a member went on without the majority (Shrink); all members of
	// one cluster have the same. Shrunk: the others are to be forgotten.
	Generations []string `json:"generations,omitempty"`
	Shrunk      bool     `json:"shrunk,omitempty"`
}

// plan is the first configuration: the same text on all members.
type plan struct {
	Servers []raft.Server `json:"servers"`
}

func (p *plan) hash() string {
	if p == nil {
		return ""
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("encode the plan: %v", err)) // it is a list of texts
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// memberOf is the member that a server belongs to.
func memberOf(id raft.ServerID) core.MemberID {
	name, _, _ := strings.Cut(string(id), ".")
	return core.MemberID(name)
}

const identityFile = "member.json"

// loadIdentity reads the directory's identity, or makes one.
func loadIdentity(dir, cluster string, member core.MemberID) (*identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		end := make([]byte, 4)
		if _, err := rand.Read(end); err != nil {
			return nil, fmt.Errorf("make an identity: %w", err)
		}
		id := &identity{Member: member, Cluster: cluster, Server: raft.ServerID(string(member) + "." + hex.EncodeToString(end))}
		return id, id.save(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read the identity: %w", err)
	}
	var id identity
	if err := json.Unmarshal(text, &id); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, identityFile), err)
	}
	if id.Member != member || id.Cluster != cluster || memberOf(id.Server) != member {
		return nil, fmt.Errorf("%s belongs to member %s of cluster %s, not to %s of %s: give each member its own watchdog.data_dir", dir, id.Member, id.Cluster, member, cluster)
	}
	return &id, nil
}

// save writes the identity so that a crash leaves the old or the new one.
func (id *identity) save(dir string) error {
	text, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("encode the identity: %w", err)
	}
	path := filepath.Join(dir, identityFile)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the identity: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("write the identity: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write the identity: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// listHash is the list of members in the configuration; those that begin a cluster must agree on it.
func listHash(w *configs.Watchdog) string {
	var lines []string
	for _, p := range w.Peers {
		lines = append(lines, fmt.Sprintf("%s %s %d %s", p.Name, p.Host, p.Port, p.Role))
	}
	slices.Sort(lines)
	if p, usual := w.Pair, (configs.Default().Watchdog.Pair); w.IsPair() && !p.SameRules(usual) { // older versions know only the usual
		lines = append(lines, fmt.Sprintf("pair %v %s %s %s", p.DatabaseLock, p.OnLoss, p.After, p.SelfFenceAfter))
	}
	sum := sha256.Sum256([]byte(w.Cluster + "\n" + w.Profile + "\n" + strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}
