package migrate

import "strings"

// command takes over a command of the shell; howdah knows all of Pgpool-II's placeholders.
func command(key string) func(*importer, setting) Entry {
	return func(im *importer, s setting) Entry {
		if s.value == "" {
			return Entry{Fate: Default}
		}
		im.out.set(key, text(s.value), s.comment())
		return taken(key)
	}
}

// failoverCommand is what promotes.
func (im *importer) failoverCommand(s setting) Entry {
	first, _, _ := strings.Cut(strings.TrimSpace(s.value), " ")
	switch first {
	case "":
		return Entry{Fate: Default}
	case "echo", "/bin/echo", "true", "/bin/true", ":": // as the bitnami image has it, beside repmgr
		return unneeded("it promotes nobody; howdah follows whom others promote (failover.mode: none)")
	}
	im.out.set("failover.mode", text("command"), s.comment())
	im.out.set("failover.command", text(s.value), s.comment())
	return changed("failover.command", "howdah waits until the primary is lost beyond doubt (docs/FAILOVER.md), bounds the command by failover.hook_timeout, and believes the servers, not its exit status; failover.mode: native needs no command")
}

// autoFailback is on by default in howdah, which reads a standby again when it streams and has caught up.
func (im *importer) autoFailback(s setting) Entry {
	on, ok := switchOf(s.value)
	switch {
	case !ok:
		return refused("%q is neither on nor off", s.value)
	case on:
		return Entry{Fate: Default}
	}
	return changed("", "howdah reads a standby again once it streams and has caught up; with failover.auto_failback: off it waits for howdah attach")
}

// onShutdown: the primary is replaced also when it was shut down in order, and at once.
func (im *importer) onShutdown(s setting) Entry {
	on, ok := switchOf(s.value)
	if !ok {
		return refused("%q is neither on nor off", s.value)
	}
	if !on {
		return Entry{Fate: Default}
	}
	im.out.set("failover.shutdown_grace", bare("0"), s.comment())
	return taken("failover.shutdown_grace")
}

// recoveryScript is a script in the primary's data directory, which stays where it is and as it is.
func (im *importer) recoveryScript(s setting) Entry {
	switch {
	case s.value == "":
		return Entry{Fate: Default}
	case strings.Contains(s.value, "/"):
		return Entry{Fate: ByHand, Note: "failover.recovery_script is the name of a file in the primary's data directory, without a slash"}
	}
	im.out.set("failover.recovery_script", text(s.value), s.comment())
	return changed("failover.recovery_script", "run by the same extension pgpool_recovery, with the same arguments, in failover.recovery_database; "+byCheckUser)
}

// recoveryUser runs the recovery in Pgpool-II.
func (im *importer) recoveryUser(s setting) Entry {
	checker := im.values["sr_check_user"].value
	if checker == "" || checker == "nobody" {
		checker = "postgres"
	}
	if checker == s.value {
		return unneeded(byCheckUser)
	}
	return Entry{Fate: ByHand, Note: byCheckUser + "; it is not this user"}
}
