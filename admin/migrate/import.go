package migrate

import (
	"fmt"
	"strconv"
	"strings"
)

// Files are what is imported. Open reads a file that another one names.
type Files struct {
	// Conf is the path of pgpool.conf; HBA, Passwd and PCP those of pool_hba.conf, pool_passwd and
	// pcp.conf, and Key of the .pgpoolkey; empty is the usual place, if there is such a file.
	Conf, HBA, Passwd, PCP, Key string
	Open                        func(name string) ([]byte, error)
}

// Result is a configuration of howdah and what became of every setting.
type Result struct {
	YAML   []byte
	Report Report
}

// importer is an import under way.
type importer struct {
	files    Files
	out      output
	report   Report
	backends map[int]*backend
	// values are the settings that count, the last of each name.
	values map[string]setting
	key    []byte // of AES secrets
	method string // of logins, without rules of their own
}

// backend is what the settings of one number say.
type backend struct {
	host, port, weight, appName, dataDir setting
	// noPromotion: it must not be promoted. check is what is asked of it in another way.
	noPromotion bool
	check       [][2]string
}

// Import reads pgpool.conf and what is beside it. The error is a file that cannot be read; what it
// says wrongly is in the report.
func Import(files Files) (*Result, error) {
	conf, err := files.Open(files.Conf)
	if err != nil {
		return nil, fmt.Errorf("read pgpool.conf: %w", err)
	}
	r := reader{open: files.Open}
	r.read(files.Conf, conf, 0)
	return importSettings(files, r.settings, r.problems, nil, "md5")
}

// importSettings makes a Result of the settings of a pgpool.conf; before reports what is not among them. method is that
// of logins without pool_hba.conf.
func importSettings(files Files, settings []setting, problems []string, before Report, method string) (*Result, error) {
	im := &importer{files: files, backends: map[int]*backend{}, values: map[string]setting{}, report: before, method: method}
	for _, p := range problems {
		im.report = append(im.report, Entry{Name: p, Fate: Refused})
	}
	last := map[string]int{}
	for i, s := range settings {
		name := s.name
		if now, ok := renamed[name]; ok {
			name = now
		}
		last[name] = i
		im.values[name] = s
	}
	im.readKey()
	for i, s := range settings {
		if s.name == "" {
			continue
		}
		e := im.setting(s, i)
		if p, _ := byName(s.name); p != nil && last[unaliased(s.name)] != i && p.name != "primary_routing_query_pattern_list" {
			e = Entry{Name: s.name, Fate: Unneeded, Note: "given again later, which counts"}
		}
		e.Place = s.place()
		im.report = append(im.report, e)
	}
	im.finish()
	out, err := im.out.bytes("Made by howdah import from " + files.Conf + ".\nEvery other setting has its default: howdah check -c FILE --show")
	if err != nil {
		return nil, err
	}
	return &Result{YAML: out, Report: im.report}, nil
}

func unaliased(name string) string {
	if now, ok := renamed[name]; ok {
		return now
	}
	return name
}

// setting decides about the i-th setting; a repeated one takes effect only once.
func (im *importer) setting(s setting, i int) Entry {
	p, index := byName(s.name)
	if p == nil {
		return Entry{Name: s.name, Fate: Refused, Note: "no parameter of Pgpool-II 3.7 to 4.7, which ignores it: correct the spelling, or take it out"}
	}
	e := Entry{Name: s.name, Fate: p.fate, Note: p.note}
	switch {
	case im.values[unaliased(s.name)] != s && p.name != "primary_routing_query_pattern_list":
		return e
	case p.isDefault(s.value):
		e.Fate, e.Note = Default, ""
	case p.gate != "" && !im.isOn(p.gate):
		e.Fate, e.Note = Unneeded, p.gate+" is off"
	case strings.HasPrefix(p.name, "backend_") && index > 1_000:
		e.Fate, e.Note = Refused, "the number is too high"
	case p.take != nil:
		e = p.take(im, s)
		e.Name = s.name
	}
	return e
}

// isOn says whether a switch is on, or a text is given.
func (im *importer) isOn(name string) bool {
	s, ok := im.values[name]
	if on, isSwitch := switchOf(s.value); isSwitch {
		return on
	}
	return ok && s.value != ""
}

// finish does what needs all settings.
func (im *importer) finish() {
	im.writeBackends()
	im.writeRedirects()
	im.writeAuth()
	im.writeAdmin()
}

// add reports what is not in pgpool.conf.
func (im *importer) add(e Entry) { im.report = append(im.report, e) }

// atoi reads a whole number that may have a sign.
func atoi(value string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(value))
	return n, err == nil
}
