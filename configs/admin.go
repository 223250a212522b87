package configs

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Admin are the operators' doors. Each is closed until it is given an address.
type Admin struct {
	// Socket is the Unix socket of the howdah command line; only root and the user who
	// runs howdah may use it. Empty is none. Needs a restart.
	Socket string `yaml:"socket" path:"yes" reload:"no"`
	// UsersFile has who may use the PCP port and log in on the page: a pcp.conf.
	UsersFile string `yaml:"users_file" path:"yes"`
	// Readers are users of UsersFile who may look and not change.
	Readers []string `yaml:"readers"`
	// PgpoolVersion is the version of Pgpool-II that SHOW pool_… and the PCP port speak like.
	PgpoolVersion string `yaml:"pgpool_version" enum:"4.3,4.4,4.5,4.6,4.7"`
	PCP           PCP    `yaml:"pcp" reload:"no"`
	HTTP          HTTP   `yaml:"http" reload:"no"`
}

// PCP is the port of Pgpool-II's pcp_* commands. Needs a restart.
type PCP struct {
	// Addresses are as those of listen. Pgpool-II: pcp_listen_addresses.
	Addresses []string `yaml:"addresses"`
	// Port is also the number in the Unix socket's name. Pgpool-II: pcp_port.
	Port int `yaml:"port" min:"1" max:"65535"`
	// UnixDirs are directories that get a socket .s.PGSQL.<port>. Pgpool-II: pcp_socket_dir.
	UnixDirs []string `yaml:"unix_dirs"`
}

// On says whether the port is open.
func (p *PCP) On() bool { return len(p.Addresses) > 0 || len(p.UnixDirs) > 0 }

// HTTP is the port of metrics, health checks, the JSON interface and the page. Needs a restart.
type HTTP struct {
	Addresses []string `yaml:"addresses"`
	Port      int      `yaml:"port" min:"1" max:"65535"`
	// CertFile and KeyFile, in PEM, make it HTTPS.
	CertFile string `yaml:"cert_file" path:"yes"`
	KeyFile  string `yaml:"key_file" path:"yes"`
	// Anonymous lets everybody who reaches the port look at the page. Changes always need a login.
	Anonymous bool `yaml:"anonymous"`
}

// defaultAdmin has every door closed.
func defaultAdmin() Admin {
	return Admin{PgpoolVersion: "4.3", PCP: PCP{Port: 9898}, HTTP: HTTP{Port: 9897}}
}

func validateAdmin(c *Config, list *faultList) {
	a := &c.Admin
	validateSocket(list, "admin.socket", a.Socket)
	if a.PCP.On() && a.UsersFile == "" && !list.isBad("admin.users_file") {
		list.addAt("admin.users_file", "is missing", "the PCP port lets in who is in it: give a pcp.conf, or remove admin.pcp.addresses and unix_dirs")
	}
	checkAddresses(list, "admin.pcp.addresses", a.PCP.Addresses)
	checkAddresses(list, "admin.http.addresses", a.HTTP.Addresses)
	for i, dir := range a.PCP.UnixDirs {
		key := fmt.Sprintf("admin.pcp.unix_dirs[%d]", i)
		validateSocket(list, key, filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(a.PCP.Port)))
		if a.PCP.Port == c.Listen.Port && slices.Contains(c.Listen.UnixDirs, dir) {
			list.addAt(key, "holds the socket of listen too", "give admin.pcp.port another number")
		}
	}
	if (a.HTTP.CertFile == "") != (a.HTTP.KeyFile == "") && !list.isBad("admin.http.cert_file") && !list.isBad("admin.http.key_file") {
		list.addAt("admin.http", "has only one of cert_file and key_file", "give both, or none for plain HTTP")
	}
	ports := map[int]string{}
	for _, p := range []struct {
		key  string
		port int
		on   bool
	}{{"listen.port", c.Listen.Port, len(c.Listen.Addresses) > 0}, {"admin.pcp.port", a.PCP.Port, len(a.PCP.Addresses) > 0},
		{"admin.http.port", a.HTTP.Port, len(a.HTTP.Addresses) > 0}} {
		if other, taken := ports[p.port]; p.on && taken && !list.isBad(p.key) {
			list.addAt(p.key, fmt.Sprintf("%d is also %s", p.port, other), "give every door a port of its own")
		} else if p.on {
			ports[p.port] = p.key
		}
	}
}

func validateSocket(list *faultList, key, path string) {
	switch {
	case path == "" || list.isBad(key):
	case !filepath.IsAbs(path):
		list.addAt(key, strconv.Quote(shorten(path))+" is a relative path", "write it from the root, as in /run/howdah")
	case len(path) > maxSocketPath:
		list.addAt(key, fmt.Sprintf("the socket's path %s has more than %d bytes", shorten(path), maxSocketPath), "use a shorter directory")
	}
}

// checkAddresses holds the addresses of a door to the rules of listen.addresses.
func checkAddresses(list *faultList, key string, addresses []string) {
	for i, address := range addresses {
		if at := fmt.Sprintf("%s[%d]", key, i); address != "*" && !list.isBad(at) {
			checkHost(list, at, address)
		}
	}
}

// IsLoopback says whether an address of a listener is reached from this host only.
func IsLoopback(address string) bool {
	addr, err := netip.ParseAddr(address)
	return strings.EqualFold(address, "localhost") || err == nil && addr.IsLoopback()
}
