package migrate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

func (im *importer) backend(id int) *backend {
	b := im.backends[id]
	if b == nil {
		b = &backend{}
		im.backends[id] = b
	}
	return b
}

// backendField keeps a setting of one backend for writeBackends.
func backendField(im *importer, s setting) Entry {
	name, id := numbered(s.name)
	b := im.backend(id)
	switch name {
	case "backend_hostnameN":
		b.host = s
	case "backend_portN":
		b.port = s
		if n, ok := atoi(s.value); !ok || n < 1 || n > 65535 {
			return refused("%q is no port", s.value)
		}
	case "backend_weightN":
		b.weight = s
		if w, err := strconv.ParseFloat(s.value, 64); err != nil || w < 0 {
			return refused("%q is no weight", s.value)
		}
	case "backend_data_directoryN":
		b.dataDir = s
		return Entry{Fate: Taken, To: "backends[].data_dir"}
	case "backend_application_nameN":
		b.appName = s
		return Entry{Fate: Taken, To: "backends[].name"}
	}
	return taken("backends")
}

func (im *importer) backendFlag(s setting) Entry {
	_, id := numbered(s.name)
	entry := Entry{Fate: Default, Note: "failover.mode says whether there are failovers"}
	for flag := range strings.SplitSeq(s.value, "|") {
		switch flag = strings.ToUpper(strings.TrimSpace(flag)); flag {
		case "ALLOW_TO_FAILOVER", "":
		case "DISALLOW_TO_FAILOVER":
			im.backend(id).noPromotion = true
			entry = changed("backends[].priority", "0: it is never promoted; while it does not answer it gets nothing, like any other")
		case "ALWAYS_PRIMARY":
			entry = unneeded("howdah asks every server whether it is the primary; a service name must lead to one server")
		default:
			return refused("%q is no flag", flag)
		}
	}
	return entry
}

// backendCheck takes over what a server's health check does in another way.
func backendCheck(im *importer, s setting) Entry {
	name, id := numbered(s.name)
	key := strings.TrimSuffix(strings.TrimPrefix(name, "health_check_"), "N")
	value := s.value
	if value == "" || key == "user" && value == "nobody" { // the samples' user before 4.6, whom no server has
		return Entry{Fate: Default}
	}
	switch key {
	case "timeout":
		d, ok := duration(s.value, "s")
		switch {
		case !ok:
			return refused("%q is no duration", s.value)
		case d == "0":
			return Entry{Fate: Default}
		}
		value = d
	case "password":
		plain, err := im.secret(s.value)
		if err != nil {
			return refused("%v", err)
		}
		value = plain
	}
	im.backend(id).check = append(im.backend(id).check, [2]string{key, value})
	return taken("backends[].check." + key)
}

// ids are the numbers of the backends that have a host, in order.
func (im *importer) ids() []int {
	var ids []int
	for _, id := range slices.Sorted(maps.Keys(im.backends)) {
		if im.backends[id].host.value != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// nameOf is the new name of a backend: its application_name if that can be one.
func (im *importer) nameOf(id int) string {
	b := im.backends[id]
	if b == nil || b.host.value == "" {
		return ""
	}
	name := b.appName.value
	usable := name != "" && name != "primary" && name != "standby" && len(name) <= 63 && strings.Trim(name,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
	for other, o := range im.backends {
		if other != id && o.appName.value == name {
			usable = false
		}
	}
	if !usable {
		return fmt.Sprintf("node%d", id)
	}
	return name
}

// writeBackends writes the list; its order is that of the numbers, which PCP and SHOW keep.
func (im *importer) writeBackends() {
	ids := im.ids()
	if len(ids) == 0 {
		im.add(Entry{Name: "backend_hostname0", Fate: Refused, Note: "no backend is configured; list your servers under backends"})
		return
	}
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for place, id := range ids {
		b := im.backends[id]
		if place != id {
			im.add(Entry{Name: b.host.name, Place: b.host.place(), Fate: Changed, To: "backends",
				Note: fmt.Sprintf("node %d becomes node %d in pcp_* and SHOW: howdah's numbers have no gaps", id, place)})
		}
		port, weight := "5432", "0"
		if n, ok := atoi(b.port.value); ok && n >= 1 && n <= 65535 {
			port = b.port.value
		}
		if w, err := strconv.ParseFloat(b.weight.value, 64); err == nil && w >= 0 {
			weight = b.weight.value
		} else {
			im.add(Entry{Name: fmt.Sprintf("backend_weight%d", id), Fate: Changed, To: "backends[].weight",
				Note: "it is not given, which is 0 with Pgpool-II: no reads; say 1 if you meant that"})
		}
		pairs := []*yaml.Node{bare("name"), text(im.nameOf(id)), bare("host"), text(b.host.value), bare("port"), bare(port), bare("weight"), bare(weight)}
		if b.noPromotion {
			pairs = append(pairs, bare("priority"), bare("0"))
		}
		if b.dataDir.value != "" {
			pairs = append(pairs, bare("data_dir"), text(b.dataDir.value))
		}
		if len(b.check) > 0 {
			var check []*yaml.Node
			for _, c := range b.check {
				value := text(c[1])
				if c[0] == "timeout" {
					value = bare(c[1])
				}
				check = append(check, bare(c[0]), value)
			}
			pairs = append(pairs, bare("check"), row(check...))
		}
		all.Content = append(all.Content, row(pairs...))
	}
	im.out.set("backends", all, "backend_hostname0 …")
}
