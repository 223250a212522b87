package configs

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Watchdog is the quorum of howdahs. Without peers there is none: this howdah stands
// alone. All of it needs a restart.
type Watchdog struct {
	// Cluster names the cluster; members of another one are not heard. It is in the
	// members' certificates.
	Cluster string `yaml:"cluster"`
	// Name is which of Peers this member is.
	Name string `yaml:"name"`
	// DataDir keeps what was agreed on. No two members may share it.
	DataDir string `yaml:"data_dir" path:"yes"`
	// Keys is the folder that `howdah watchdog keygen` made for this member.
	Keys string `yaml:"keys" path:"yes"`
	// Profile is how fast members are taken for dead; all members must have the same.
	Profile string `yaml:"profile" enum:"lan,wan,fast"`
	// Peers are all members, this one too; the same list in every member's file.
	// Pgpool-II: hostnameN, wd_portN, pgpool_portN.
	Peers []Peer `yaml:"peers"`
	// EscalationCommand is run, without a shell, when this member has got the address;
	// DeescalationCommand when it has given it up. Pgpool-II: wd_escalation_command,
	// wd_de_escalation_command, which it runs before the address changes.
	EscalationCommand   []string `yaml:"escalation_command"`
	DeescalationCommand []string `yaml:"deescalation_command"`
	// CommandTimeout kills either, with its children.
	CommandTimeout time.Duration `yaml:"command_timeout" min:"10ms"`
	// TrustedServers are host:port that a member which is not cut off can connect to. One
	// that answers is enough. Pgpool-II: trusted_servers, which it pings.
	TrustedServers []string `yaml:"trusted_servers"`
	// Interfaces are those of this host of which at least one must be up for it to have the
	// address. vip.interface is watched in any case. Pgpool-II: wd_monitoring_interfaces_list.
	Interfaces []string `yaml:"interfaces"`
	// Pair is for two members without a third.
	Pair Pair `yaml:"pair"`
}

// Peer is one member.
type Peer struct {
	// Name is unique: letters, digits, hyphens and underscores, at most 63.
	Name string `yaml:"name"`
	// Host is a host name or an IP address that the other members reach it at.
	Host string `yaml:"host"`
	// Port is for decisions, by TCP with TLS. Pgpool-II: wd_portN.
	Port int `yaml:"port" min:"1" max:"65535"`
	// GossipPort is for gossip, by UDP and TCP. Pgpool-II: heartbeat_portN.
	GossipPort int `yaml:"gossip_port" min:"1" max:"65535"`
	// Role is proxy or witness, which votes but has no clients.
	Role string `yaml:"role" enum:"proxy,witness"`
	// Priority decides between members that are as fit as each other, higher first.
	// Pgpool-II: wd_priority.
	Priority int `yaml:"priority" min:"0" max:"1000"`
}

// DefaultPeer returns what a peer has where its entry says nothing.
func DefaultPeer() Peer { return Peer{Port: 7450, GossipPort: 7451, Role: "proxy", Priority: 1} }

// Enabled says whether there is a quorum to belong to.
func (w *Watchdog) Enabled() bool { return len(w.Peers) > 0 }

// Self is the entry of this member. It is there in a valid configuration that is enabled.
func (w *Watchdog) Self() Peer {
	for _, p := range w.Peers {
		if p.Name == w.Name {
			return p
		}
	}
	return Peer{}
}

// IsWitness says whether this member has no clients, and so needs neither servers nor rules
// for logins.
func (w *Watchdog) IsWitness() bool { return w.Self().Role == "witness" }

// maxPeers is more than a quorum is good for: each change waits for a majority.
const maxPeers = 15

// validateWatchdog looks at what the tags cannot say.
func validateWatchdog(w *Watchdog, list *faultList) {
	if !w.Enabled() {
		if w.Name != "" {
			list.addAt("watchdog.peers", "is empty, and watchdog.name is given", "list all members, this one too")
		}
		return
	}
	if len(w.Peers) > maxPeers {
		list.addAt("watchdog.peers", fmt.Sprintf("has %d entries", len(w.Peers)), fmt.Sprintf("give at most %d", maxPeers))
	}
	needText(list, "watchdog.data_dir", w.DataDir, "what the members agreed on must survive a restart")
	needText(list, "watchdog.keys", w.Keys, "make it with: howdah watchdog keygen")
	checkMemberName(list, "watchdog.cluster", w.Cluster)
	seen, places := map[string]bool{}, map[string]string{}
	for i, p := range w.Peers {
		key := fmt.Sprintf("watchdog.peers[%d]", i)
		checkMemberName(list, key+".name", p.Name)
		if seen[p.Name] && p.Name != "" {
			list.addAt(key+".name", fmt.Sprintf("%q is given twice", shorten(p.Name)), "every member needs a name of its own")
		}
		seen[p.Name] = true
		needText(list, key+".host", p.Host, "the other members reach it there")
		for _, port := range []int{p.Port, p.GossipPort} {
			place := fmt.Sprintf("%s:%d", p.Host, port)
			if other, taken := places[place]; taken && p.Host != "" {
				list.addAt(key, fmt.Sprintf("uses %s, as %s does", shorten(place), other), "give each its own host or ports")
			}
			places[place] = key
		}
	}
	if !seen[w.Name] {
		list.addAt("watchdog.name", fmt.Sprintf("%q is none of watchdog.peers", shorten(w.Name)), "name this member as its entry does")
	}
	for name, command := range map[string][]string{"escalation_command": w.EscalationCommand, "deescalation_command": w.DeescalationCommand} {
		if len(command) > 0 && !filepath.IsAbs(command[0]) {
			list.addAt("watchdog."+name, "does not begin with an absolute path", "write the program and its arguments as a list: [/usr/local/bin/notify, up]")
		}
	}
	for i, name := range w.Interfaces {
		checkInterface(list, fmt.Sprintf("watchdog.interfaces[%d]", i), name)
	}
	for i, s := range w.TrustedServers {
		if host, port, ok := strings.Cut(s, ":"); !ok || host == "" || port == "" {
			list.addAt(fmt.Sprintf("watchdog.trusted_servers[%d]", i), fmt.Sprintf("%q is not host:port", shorten(s)), "name a TCP port that answers, as in 10.0.0.1:53")
		}
	}
}

// checkMemberName: the name is part of certificates and of raft's ids, where a dot divides.
func checkMemberName(list *faultList, key, name string) {
	if list.isBad(key) {
		return
	}
	if !IsMemberName(name) {
		list.addAt(key, fmt.Sprintf("%q cannot be a name", shorten(name)), "use 1 to 63 letters, digits, hyphens and underscores")
	}
}

// IsMemberName says whether a member, or a cluster, can have that name.
func IsMemberName(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return name != "" && len(name) <= maxNameBytes
}
