package configs

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	// maxVIPAddresses bounds vip.addresses; each is announced, probed and renewed.
	maxVIPAddresses = 16
	// maxInterfaceName is the longest name of an interface or label on Linux (IFNAMSIZ
	// less its zero).
	maxInterfaceName = 15
	// labelSuffix makes the default label of an interface.
	labelSuffix = ":vip"
)

// VIP is the floating address that clients connect to, and how it is put on this
// host and taken off it. Who holds it, the watchdog decides.
type VIP struct {
	// Mode is none, netlink (howdah talks to the kernel), commands (Pgpool-II's way)
	// or hook (one command, for clouds).
	Mode string `yaml:"mode" enum:"none,netlink,commands,hook"`
	// Addresses are IP addresses, each with a prefix length or alone (/32, /128).
	// Pgpool-II: delegate_IP.
	Addresses []string `yaml:"addresses"`
	// Interface is the device that the addresses are put on. Needed with netlink.
	Interface string `yaml:"interface"`
	// Label marks IPv4 addresses as howdah's; empty is the interface's name with ":vip".
	Label string `yaml:"label"`
	// Takeover is fast (take the address at once) or strict (first be sure that
	// nobody else has it).
	Takeover string `yaml:"takeover" enum:"fast,strict"`
	// Lifetime is how long the kernel keeps an address that nobody renews, in whole
	// seconds, and Refresh how often it is renewed.
	Lifetime time.Duration `yaml:"lifetime" min:"1s" max:"1h"`
	Refresh  time.Duration `yaml:"refresh" min:"10ms" max:"1h"`
	// ProbeWait is how long an answer to "who has this address?" is waited for.
	ProbeWait time.Duration `yaml:"probe_wait" min:"10ms" max:"10s"`
	// AnnounceInterval is how often the holder repeats its announcement after the
	// first five seconds; 0 never.
	AnnounceInterval time.Duration `yaml:"announce_interval" min:"0" max:"1d"`
	// Guardian runs what holds the address in a process of its own, which takes it off
	// when howdah dies or hangs.
	Guardian bool `yaml:"guardian"`
	// ResetClients breaks the connections of clients that wait on a former holder.
	ResetClients bool        `yaml:"reset_clients"`
	Commands     VIPCommands `yaml:"commands"`
	Hook         VIPHook     `yaml:"hook"`
}

// VIPCommands are those of the mode commands. In every argument $_IP_$ stands for
// the address.
type VIPCommands struct {
	Up       Command       `yaml:"up"`       // Pgpool-II: if_up_cmd
	Down     Command       `yaml:"down"`     // Pgpool-II: if_down_cmd
	Announce Command       `yaml:"announce"` // Pgpool-II: arping_cmd; may be empty
	Timeout  time.Duration `yaml:"timeout" min:"100ms" max:"10min"`
}

// VIPHook is the command of the mode hook. It gets three more arguments: up or
// down, the address with its prefix length, and the interface.
type VIPHook struct {
	Command Command       `yaml:"command"`
	Timeout time.Duration `yaml:"timeout" min:"100ms" max:"10min"`
}

// Command is a program and its arguments. Written as one text in the file, it is a
// command of the shell: /bin/sh -c TEXT.
type Command []string

// defaultVIP is the section's defaults.
func defaultVIP() VIP {
	return VIP{
		Mode: "none", Takeover: "fast", Lifetime: 2 * time.Second, Refresh: 500 * time.Millisecond,
		ProbeWait: 100 * time.Millisecond, AnnounceInterval: 30 * time.Second, Guardian: true, ResetClients: true,
		Commands: VIPCommands{Timeout: 10 * time.Second}, Hook: VIPHook{Timeout: 30 * time.Second},
	}
}

// Prefixes are the addresses with their prefix lengths. Only of a valid section.
func (v *VIP) Prefixes() []netip.Prefix {
	prefixes := make([]netip.Prefix, 0, len(v.Addresses))
	for _, text := range v.Addresses {
		if p, fault := parseVIP(text); fault == nil {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

// Hosts are the addresses without their prefix lengths. Only of a valid section.
func (v *VIP) Hosts() []netip.Addr {
	var hosts []netip.Addr
	for _, p := range v.Prefixes() {
		hosts = append(hosts, p.Addr())
	}
	return hosts
}

// AddressLabel is the label that marks howdah's IPv4 addresses: Label, or the
// interface's name, cut if need be, with ":vip".
func (v *VIP) AddressLabel() string {
	if v.Label != "" {
		return v.Label
	}
	return v.Interface[:min(len(v.Interface), maxInterfaceName-len(labelSuffix))] + labelSuffix
}

// parseVIP reads an address with or without a prefix length; the error is a *valueError.
func parseVIP(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, &valueError{"is not an IP address", "write it as in 10.0.0.100, 10.0.0.100/24 or fd00::100"}
		}
		if addr.Zone() != "" {
			return netip.Prefix{}, &valueError{"has a zone", "write the address alone, and its device as vip.interface"}
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	addr := p.Addr()
	switch {
	case addr.Is4In6():
		return p, &valueError{"is an IPv4 address written as IPv6", "write " + addr.Unmap().String()}
	case addr.IsUnspecified(), addr.IsLoopback(), addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return p, &valueError{"is no address of a host", "write an unused address of the clients' network"}
	case p.Bits() == 0, p.Bits() < addr.BitLen()-1 && p.Masked() == p:
		return p, &valueError{"is a network, not an address", "write an unused address of it"}
	}
	return p, nil
}

func validateVIP(v *VIP, list *faultList) {
	checkVIPAddresses(v, list)
	if !list.isBad("vip.interface") && v.Interface != "" {
		checkInterface(list, "vip.interface", v.Interface)
	}
	if !list.isBad("vip.label") && v.Label != "" {
		checkLabel(v, list)
	}
	if v.Lifetime%time.Second != 0 && !list.isBad("vip.lifetime") {
		list.addAt("vip.lifetime", formatDuration(v.Lifetime)+" is not whole seconds", "the kernel counts seconds, write 2s or 3s")
	} else if v.Refresh*2 > v.Lifetime && !list.isBad("vip.refresh") && !list.isBad("vip.lifetime") {
		list.addAt("vip.refresh", formatDuration(v.Refresh)+" is more than half of vip.lifetime", "renew more often, or the address is lost when one renewal is late")
	}
	for _, c := range []struct {
		key string
		c   Command
	}{{"vip.commands.up", v.Commands.Up}, {"vip.commands.down", v.Commands.Down}, {"vip.commands.announce", v.Commands.Announce}, {"vip.hook.command", v.Hook.Command}} {
		checkCommand(list, c.key, c.c)
	}
	needVIP(v, list)
}

// needVIP reports what the mode needs and is not there.
func needVIP(v *VIP, list *faultList) {
	need := func(key string, given bool, why string) {
		if !given && !list.isBad(key) {
			list.addAt(key, "is missing", why)
		}
	}
	if v.Mode == "none" || list.isBad("vip.mode") {
		return
	}
	need("vip.addresses", len(v.Addresses) > 0, "write the floating address, as in [10.0.0.100]")
	switch v.Mode {
	case "netlink":
		need("vip.interface", v.Interface != "", "write the device that gets the address, as in eth0")
	case "commands":
		need("vip.commands.up", len(v.Commands.Up) > 0, "write what puts the address on this host: [ip, addr, add, $_IP_$/24, dev, eth0]")
		need("vip.commands.down", len(v.Commands.Down) > 0, "write what takes it off: [ip, addr, del, $_IP_$/24, dev, eth0]")
	case "hook":
		need("vip.hook.command", len(v.Hook.Command) > 0, "write what moves the address to this host: it gets up or down, the address and the interface")
	}
}

func checkVIPAddresses(v *VIP, list *faultList) {
	if n := len(v.Addresses); n > maxVIPAddresses {
		list.addAt("vip.addresses", fmt.Sprintf("has %d entries", n), fmt.Sprintf("give at most %d", maxVIPAddresses))
		return
	}
	seen := map[netip.Addr]bool{}
	for i, text := range v.Addresses {
		key := fmt.Sprintf("vip.addresses[%d]", i)
		if list.isBad(key) {
			continue
		}
		p, err := parseVIP(text)
		if err != nil {
			ve := withAdvice(err, err.Error(), "").(*valueError)
			list.addAt(key, strconv.Quote(shorten(text))+" "+ve.what, ve.advice)
			continue
		}
		if seen[p.Addr()] {
			list.addAt(key, p.Addr().String()+" is given twice", "remove one of them")
		}
		seen[p.Addr()] = true
	}
}

func checkInterface(list *faultList, key, name string) {
	if len(name) > maxInterfaceName || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n") || !isPrintable(name) {
		list.addAt(key, strconv.Quote(shorten(name))+" is no interface's name", fmt.Sprintf("write one that ip link shows, of at most %d bytes", maxInterfaceName))
	}
}

// checkLabel wants a colon: the kernel gives addresses without a label the
// interface's name, and those are not howdah's.
func checkLabel(v *VIP, list *faultList) {
	if len(v.Label) > maxInterfaceName || !strings.Contains(v.Label, ":") || strings.ContainsAny(v.Label, "/ \t\n") || !isPrintable(v.Label) {
		list.addAt("vip.label", strconv.Quote(shorten(v.Label))+" is no label",
			fmt.Sprintf("write the interface's name, a colon and a word, at most %d bytes, as in eth0:vip", maxInterfaceName))
	}
}

func checkCommand(list *faultList, key string, c Command) {
	if list.isBad(key) || len(c) == 0 {
		return
	}
	if strings.TrimSpace(c[0]) == "" || len(c) == 3 && c[0] == shell[0] && c[1] == shell[1] && strings.TrimSpace(c[2]) == "" {
		list.addAt(key, "names no program", "write the program and its arguments, or [] for none")
	}
}

func isPrintable(s string) bool {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}
