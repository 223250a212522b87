package migrate

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

func (im *importer) clusteringMode(s setting) Entry {
	switch mode := strings.ToLower(s.value); mode {
	case "streaming_replication":
		return Entry{Fate: Default}
	case "raw":
		return rawMode()
	default:
		return refused("howdah is for one primary and its streaming standbys; with %s keep Pgpool-II", mode)
	}
}

func (im *importer) replicationMode(setting) Entry {
	return refused("howdah is for one primary and its streaming standbys; with native replication keep Pgpool-II")
}

// rawMode is Pgpool-II's mode in which it knows of no replication.
func rawMode() Entry {
	return Entry{Fate: Changed, Note: "howdah spreads reads over standbys; for one server nothing changes"}
}

// primaryStandbyMode takes the switch that Pgpool-II had before 4.2. With neither this nor replication_mode it was in raw mode.
func (im *importer) primaryStandbyMode(setting) Entry {
	if im.isOn("master_slave_mode") || im.isOn("replication_mode") {
		return Entry{Fate: Unneeded, Note: "streaming replication is what howdah is for"}
	}
	return rawMode()
}

func (im *importer) subMode(s setting) Entry {
	return refused("howdah is for streaming replication; with %s keep Pgpool-II", s.value)
}

func (im *importer) listenAddresses(s setting) Entry {
	if split(s.value, ",") == nil && im.values["unix_socket_directories"].value == "" {
		im.out.set("listen.unix_dirs", list([]string{"/tmp"}), "listen_addresses is empty, and this is Pgpool-II's directory of sockets")
	}
	im.out.set("listen.addresses", list(split(s.value, ",")), s.comment())
	return taken("listen.addresses")
}

func (im *importer) pcpAddresses(s setting) Entry {
	im.out.set("admin.pcp.addresses", list(split(s.value, ",")), s.comment())
	return taken("admin.pcp.addresses")
}

// directories takes over a list of the directories of sockets.
func directories(key string) func(*importer, setting) Entry {
	return func(im *importer, s setting) Entry {
		dirs := split(s.value, ",")
		for _, d := range dirs {
			if !strings.HasPrefix(d, "/") {
				return refused("%q is no absolute path", d)
			}
		}
		im.out.set(key, list(dirs), s.comment())
		return taken(key)
	}
}

func (im *importer) socketMode(s setting) Entry {
	if _, err := strconv.ParseUint(s.value, 8, 9); err != nil {
		return refused("%q is no octal mode", s.value)
	}
	im.out.set("listen.unix_mode", bare(s.value), s.comment())
	return taken("listen.unix_mode")
}

// clients: with Pgpool-II's, one client more than there are processes waits.
func (im *importer) clients(s setting) Entry {
	n, ok := atoi(s.value)
	reserved, _ := atoi(im.values["reserved_connections"].value)
	if !ok || n-reserved < 1 {
		return refused("%q leaves no connection", s.value)
	}
	im.out.set("limits.max_clients", bare(strconv.Itoa(n-reserved)), s.comment())
	return changed("limits.max_clients", "one client more is refused at once (53300), it does not wait; clients cost little, so you may raise it")
}

func (im *importer) reserved(s setting) Entry {
	if n, ok := atoi(s.value); ok && n == 0 {
		return Entry{Fate: Default}
	}
	if _, ok := im.values["num_init_children"]; !ok {
		return unneeded("howdah refuses the client after limits.max_clients")
	}
	return Entry{Fate: Taken, To: "limits.max_clients", Note: "taken off num_init_children"}
}

func (im *importer) authTimeout(s setting) Entry {
	return im.positive(s, "timeouts.auth", "s", "howdah always has a limit; it stays at 1 min")
}

func (im *importer) connectTimeout(s setting) Entry {
	if ms, ok := atoi(s.value); ok && ms > 0 && ms < 10 {
		im.out.set("timeouts.connect", bare("10ms"), s.comment())
		return changed("timeouts.connect", "10 ms is the least")
	}
	return im.positive(s, "timeouts.connect", "ms", "howdah always has a limit; it stays at 10 s")
}

func (im *importer) connectionCache(s setting) Entry {
	on, ok := switchOf(s.value)
	switch {
	case !ok:
		return refused("%q is neither on nor off", s.value)
	case on:
		return Entry{Fate: Default}
	}
	im.out.set("pool.max_age", bare("1ms"), s.comment())
	return changed("pool.max_age", "server connections are closed when their session ends")
}

// resetQuery: howdah ends an open transaction itself, so that ABORT goes.
func (im *importer) resetQuery(s setting) Entry {
	var queries []string
	for _, q := range split(s.value, ";") {
		if !strings.EqualFold(q, "abort") && !strings.EqualFold(q, "rollback") {
			queries = append(queries, q)
		}
	}
	for _, q := range queries {
		if strings.EqualFold(strings.Join(strings.Fields(q), " "), "discard all") {
			if len(queries) == 1 {
				return Entry{Fate: Default}
			}
			return refused("DISCARD ALL cannot run together with other statements; howdah does DISCARD ALL alone, set pool.reset_query if you need another")
		}
	}
	if len(queries) == 0 {
		return refused("without a reset a session sees the settings of the one before; howdah does DISCARD ALL")
	}
	im.out.set("pool.reset_query", text(strings.Join(queries, "; ")), s.comment())
	return taken("pool.reset_query")
}

// levels are log_min_messages' values as howdah has them.
var levels = map[string]string{"debug5": "debug", "debug4": "debug", "debug3": "debug", "debug2": "debug", "debug1": "debug",
	"info": "info", "notice": "info", "log": "info", "warning": "", "error": "error", "fatal": "error", "panic": "error"}

// logLevel: howdah's info is about what Pgpool-II logs at warning, where LOG counts higher than errors.
func (im *importer) logLevel(s setting) Entry {
	level, ok := levels[strings.ToLower(s.value)]
	switch {
	case !ok:
		return refused("%q is no level", s.value)
	case level == "":
		return Entry{Fate: Default, Note: "log.level: info is about as much"}
	}
	im.out.set("log.level", text(level), s.comment())
	return taken("log.level")
}

// logDestination: howdah logs to one place.
func (im *importer) logDestination(s setting) Entry {
	places := split(strings.ToLower(s.value), ",")
	for _, p := range places {
		if p != "stderr" && p != "syslog" {
			return refused("%q is no place for logs", p)
		}
	}
	if !slices.Contains(places, "syslog") {
		return Entry{Fate: Default}
	}
	im.out.set("log.destination", text("syslog"), s.comment())
	if len(places) > 1 {
		return changed("log.destination", "syslog only, not standard error too")
	}
	return taken("log.destination")
}

// collector: Pgpool-II's writes files, also if log_destination names syslog too.
func (im *importer) collector(s setting) Entry {
	if on, ok := switchOf(s.value); !ok {
		return refused("%q is neither on nor off", s.value)
	} else if !on {
		return Entry{Fate: Default}
	}
	if im.out.has("log.destination") || strings.Contains(strings.ToLower(im.values["log_destination"].value), "syslog") {
		return unneeded("syslog keeps what is logged")
	}
	im.out.set("log.destination", text("file"), s.comment())
	return changed("log.destination", "into one file, log.file, which the user of howdah must be able to write; "+byLogrotate)
}

func (im *importer) logDirectory(s setting) Entry {
	im.out.set("log.file", text(path.Join(im.beside(s.value), "howdah.log")), s.comment())
	return taken("log.file")
}

func (im *importer) logFileMode(s setting) Entry {
	if _, err := strconv.ParseUint(s.value, 8, 9); err != nil {
		return refused("%q is no octal mode", s.value)
	}
	im.out.set("log.file_mode", bare(s.value), s.comment())
	return taken("log.file_mode")
}

func (im *importer) syslogFacility(s setting) Entry {
	facility := strings.ToLower(s.value)
	if !strings.HasPrefix(facility, "local") || len(facility) != 6 || facility[5] < '0' || facility[5] > '7' {
		return refused("%q is none of LOCAL0 to LOCAL7", s.value)
	}
	im.out.set("log.syslog.facility", text(facility), s.comment())
	return taken("log.syslog.facility")
}

// ssl is one switch for both sides in Pgpool-II. Towards servers that have TLS howdah uses it anyway.
func (im *importer) ssl(s setting) Entry {
	if _, ok := switchOf(s.value); !ok {
		return refused("%q is neither on nor off", s.value)
	}
	for _, name := range []string{"ssl_cert", "ssl_key"} {
		if im.values[name].value == "" {
			return refused("%s is not given: clients get no TLS without tls.client.cert and key", name)
		}
	}
	return Entry{Fate: Taken, To: "tls.client", Note: "towards the servers tls.backend.mode is prefer; set verify-full to know who answers"}
}

// sslDirectory: howdah's ca is a file or a directory.
func (im *importer) sslDirectory(s setting) Entry {
	if im.values["ssl_ca_cert"].value != "" && s.value != "" {
		return refused("ssl_ca_cert is given too; put all authorities into one of them")
	}
	return files("tls.client.ca")(im, s)
}

// files takes over the path of a file, which may be relative to pgpool.conf.
func files(key string) func(*importer, setting) Entry {
	return func(im *importer, s setting) Entry {
		if s.value == "" {
			return Entry{Fate: Default}
		}
		im.out.set(key, text(im.beside(s.value)), s.comment())
		return taken(key)
	}
}

// words takes over one of some words.
func words(key string, all ...string) func(*importer, setting) Entry {
	return func(im *importer, s setting) Entry {
		word := strings.ToLower(s.value)
		if !slices.Contains(all, word) {
			return refused("%q is none of %s", s.value, strings.Join(all, ", "))
		}
		im.out.set(key, text(word), s.comment())
		return taken(key)
	}
}

// revoked takes over the list of revoked certificates, which Pgpool-II ignores without authorities too.
func (im *importer) revoked(s setting) Entry {
	if s.value != "" && im.values["ssl_ca_cert"].value == "" {
		return unneeded("ssl_ca_cert is not given: certificates of clients are not looked at")
	}
	return files("tls.client.crl")(im, s)
}

// positive takes a duration for a key of howdah's that cannot be 0, which zero explains.
func (im *importer) positive(s setting, key, unit, zero string) Entry {
	d, ok := duration(s.value, unit)
	switch {
	case !ok:
		return refused("%q is no duration", s.value)
	case d == "0":
		return changed(key, zero)
	}
	im.out.set(key, bare(d), s.comment())
	return taken(key)
}
