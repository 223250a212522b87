package migrate

import (
	"bytes"
	"path"
	"strings"

	"github.com/howdah/howdah/auth"
)

// beside is the path of a file that is named, or stands beside pgpool.conf.
func (im *importer) beside(name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(path.Dir(im.files.Conf), name)
}

// readKey reads the first line of the key file of AES passwords, if there is one.
func (im *importer) readKey() {
	if im.files.Key == "" {
		return
	}
	data, err := im.files.Open(im.files.Key)
	if err != nil {
		im.add(Entry{Name: im.files.Key, Fate: Refused, Note: err.Error()})
		return
	}
	im.key, _, _ = bytes.Cut(data, []byte("\n"))
}

func (im *importer) poolHBA(s setting) Entry {
	if on, ok := switchOf(s.value); !ok {
		return refused("%q is neither on nor off", s.value)
	} else if !on {
		return Entry{Fate: Changed, To: "auth.hba", Note: "Pgpool-II lets the server ask; howdah asks itself, with a rule that takes every user with a password"}
	}
	return taken("auth.hba")
}

func (im *importer) poolPasswd(s setting) Entry {
	if s.value == "" {
		return unneeded("no file of passwords: set auth.query, or users cannot log in by password")
	}
	return taken("auth.passwd_file")
}

// writeAuth writes who may connect and where the passwords are.
func (im *importer) writeAuth() {
	im.writeHBA()
	name := im.files.Passwd
	given := name != ""
	if !given {
		file := "pool_passwd"
		if s, ok := im.values["pool_passwd"]; ok {
			file = s.value
		}
		if file == "" {
			return
		}
		name = im.beside(file)
	}
	data, err := im.files.Open(name)
	if err != nil {
		fate := Unsupported
		if given {
			fate = Refused
		}
		im.add(Entry{Name: name, Fate: fate, Note: "cannot be read (" + err.Error() + "): give auth.passwd_file or auth.query, or only trust rules let anybody in"})
		return
	}
	passwd, err := auth.ParsePasswd(name, bytes.NewReader(data), im.key)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			im.add(Entry{Name: name, Fate: Refused, Note: line})
		}
		return
	}
	im.out.set("auth.passwd_file", text(name), "read as it is")
	if len(im.key) > 0 {
		im.out.set("auth.key_file", text(im.files.Key), "decrypts its AES secrets")
	}
	note := "read as it is"
	if passwd.Len() == 0 {
		note = "it has no user: fill it, or set auth.query"
	}
	im.add(Entry{Name: name, Fate: Taken, To: "auth.passwd_file", Note: note})
}

// writeHBA writes the rules: pool_hba.conf if that is in use, else what comes closest to none.
func (im *importer) writeHBA() {
	const key = "auth.hba"
	if !im.isOn("enable_pool_hba") {
		note := "enable_pool_hba is off: every user with a password; md5 does SCRAM too"
		if im.method != "md5" {
			note = "every user with a password, as the image has it"
		}
		im.out.set(key, list([]string{"local all all " + im.method, "host all all all " + im.method}), note)
		return
	}
	name := im.files.HBA
	if name == "" {
		name = im.beside("pool_hba.conf")
	}
	data, err := im.files.Open(name)
	if err != nil {
		im.out.set(key, list([]string{"host all all all reject"}), "pool_hba.conf could not be read")
		im.add(Entry{Name: name, Fate: Refused, Note: "cannot be read (" + err.Error() + "); nobody may connect until you give auth.hba"})
		return
	}
	if h, err := auth.ParseHBA(name, bytes.NewReader(data)); err == nil && h.Rules() > 0 {
		im.out.set("auth.hba_file", text(name), "read as it is")
		im.add(Entry{Name: name, Fate: Taken, To: "auth.hba_file", Note: "read as it is"})
		return
	}
	rules, entries := convertHBA(name, data)
	im.report = append(im.report, entries...)
	im.out.set(key, list(rules), name)
}

// writeAdmin takes pcp.conf: whoever is in it may use the PCP port.
func (im *importer) writeAdmin() {
	name := im.files.PCP
	if name == "" {
		name = im.beside("pcp.conf")
	}
	data, err := im.files.Open(name)
	users := 0
	if err == nil {
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && strings.Contains(line, ":") {
				users++
			}
		}
	}
	switch {
	case err == nil && users > 0:
		im.out.set("admin.users_file", text(name), "read as it is")
		if !im.out.has("admin.pcp.addresses") {
			im.out.set("admin.pcp.addresses", list([]string{"localhost"}), "Pgpool-II's default")
		}
		im.add(Entry{Name: name, Fate: Taken, To: "admin.users_file", Note: "read as it is"})
		return
	case im.files.PCP != "" && err != nil:
		im.add(Entry{Name: name, Fate: Refused, Note: "cannot be read: " + err.Error()})
	default:
		im.add(Entry{Name: name, Fate: Unneeded, Note: "has no user, so the PCP port stays closed; give admin.users_file to open it"})
	}
	im.drop("admin")
	for i := range im.report {
		if e := &im.report[i]; strings.HasPrefix(e.To, "admin.") {
			e.Fate, e.To, e.Note = Unneeded, "", "the PCP port stays closed, as pcp.conf has no user"
		}
	}
}

// drop removes a section.
func (im *importer) drop(section string) {
	c := im.out.root.Content
	for i := 0; i+1 < len(c); i += 2 {
		if c[i].Value == section {
			im.out.root.Content = append(c[:i], c[i+2:]...)
			return
		}
	}
}
