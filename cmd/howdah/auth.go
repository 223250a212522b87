package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/configs"
)

// checkFiles reads the rules, secrets and certificates that the configuration in path
// points to. The error is a configs.Faults with everything that is wrong;
// warnings are about what works but should not stay so.
func checkFiles(path string, c *configs.Config) (warnings []string, err error) {
	warnings, hba, faults := checkAuth(path, &c.Auth)
	front, more, err := auth.LoadFrontTLS(&c.TLS.Client)
	warnings = append(warnings, more...)
	if err == nil && hba != nil {
		warnings = append(warnings, hba.WarnTLS(front != nil, c.TLS.Client.CA != "")...)
	}
	faults = append(faults, fileFaults(path, "tls.client", err)...)
	general := false // the fault of tls.backend is reported
	for i, b := range c.BackendsInEffect() {
		key, own := "tls.backend", c.Backends[i].TLS != (configs.BackendTLS{})
		if own {
			key = fmt.Sprintf("backends[%d].tls", i)
		}
		_, err := auth.LoadBackendTLS(b.TLS, b.Host)
		if own || !general {
			faults = append(faults, fileFaults(path, key, err)...)
		}
		general = general || !own && err != nil
	}
	if c.Admin.UsersFile != "" {
		_, err := admin.LoadUsers(c.Admin.UsersFile)
		faults = append(faults, fileFaults(path, "admin.users_file", err)...)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return append(warnings, pairWarnings(c)...), nil
}

// checkAuth is the part of checkFiles about who may connect.
func checkAuth(path string, cfg *configs.Auth) (warnings []string, hba *auth.HBA, faults configs.Faults) {
	var err error
	if cfg.HBAFile != "" {
		hba, err = auth.LoadHBAFile(cfg.HBAFile)
		faults = append(faults, fileFaults(path, "auth.hba_file", err)...)
	} else {
		hba, err = auth.ParseHBALines(cfg.HBA)
		faults = append(faults, entryFaults(path, "auth.hba", err)...)
	}
	if cfg.IdentFile != "" {
		_, err := auth.LoadIdentFile(cfg.IdentFile)
		faults = append(faults, fileFaults(path, "auth.ident_file", err)...)
	} else {
		_, err := auth.ParseIdentLines(cfg.Ident)
		faults = append(faults, entryFaults(path, "auth.ident", err)...)
	}
	_, err = auth.LoadLDAPTLS(cfg.LDAPCA)
	faults = append(faults, fileFaults(path, "auth.ldap_ca", err)...)
	if cfg.PasswdFile != "" {
		passwd, err := auth.LoadPasswdFile(cfg.PasswdFile, cfg.KeyFile)
		if err == nil {
			warnings = passwd.Warnings()
		}
		faults = append(faults, fileFaults(path, "auth.passwd_file", err)...)
	}
	return warnings, hba, faults
}

// fileFaults are the mistakes in a file that key points to: in that file's
// lines if they are known, or else at the key.
func fileFaults(path, key string, err error) configs.Faults {
	var found auth.Faults
	var cause *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &found):
		faults := make(configs.Faults, len(found))
		for i, f := range found {
			faults[i] = configs.Fault{File: f.File, Line: f.Line, What: f.What, Advice: f.Hint}
		}
		return faults
	case errors.As(err, &cause):
		return configs.Faults{{File: path, Key: key, What: fmt.Sprintf("%s cannot be read: %v", cause.Path, cause.Err),
			Advice: "check the path and its permissions"}}
	}
	return configs.Faults{{File: path, Key: key, What: err.Error()}}
}

// entryFaults are the mistakes in the texts of the list key, which package auth
// counts like the lines of a file.
func entryFaults(path, key string, err error) configs.Faults {
	var found auth.Faults
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &found):
		return configs.Faults{{File: path, Key: key, What: err.Error()}}
	}
	faults := make(configs.Faults, len(found))
	for i, f := range found {
		faults[i] = configs.Fault{File: path, Key: fmt.Sprintf("%s[%d]", key, f.Line-1), What: f.What, Advice: f.Hint}
	}
	return faults
}
