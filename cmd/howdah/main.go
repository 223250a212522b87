// Command howdah is one endpoint in front of a PostgreSQL primary and its
// standbys. It only reads its arguments here and calls the packages that do the
// work: see docs/ARCHITECTURE.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/vip"
	"github.com/howdah/howdah/watchdog"
)

// Exit codes, the same for every command.
const (
	exitOK    = 0
	exitError = 1 // it was understood, and failed
	exitUsage = 2 // it was not understood
	// exitUnreachable: the running howdah that is meant does not answer.
	exitUnreachable = 3
)

func main() {
	os.Exit(exitCode(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}

// command is one word after howdah.
type command struct {
	name    string
	usage   string // its arguments
	summary string // one line
	run     func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

// commands are in the order that help shows them.
func commands() []command {
	own := []command{
		{"serve", "-c FILE", "run in the foreground; SIGTERM stops it, SIGHUP reloads FILE", runServe},
		{"check", "-c FILE [--show]", "say what is wrong with a configuration, or show what is in effect", runCheck},
		{"explain", "[-c FILE] 'SQL'", "say where a statement would run, and why (--json, --jsonl: docs/ROUTING.md)", runExplain},
		{"vip", "up|down -c FILE", "hold the floating address until interrupted, or take off what is left of it (docs/VIP.md)", runVIP},
		{"import", "[-o FILE] PGPOOL.CONF | PGBOUNCER.INI | PGPOOL.ENV", "write what a pgpool.conf or pgbouncer.ini asks for, and report on every setting (--hba, --passwd, --pcp, --key: docs/MIGRATING-FROM-PGPOOL.md)", runImport},
		{"completion", "bash|zsh|fish", "print what teaches a shell these commands", runCompletion},
		{"witness", "-c FILE", "run a member of the watchdog that has no clients, to give two others a majority", runWitness},
		{"watchdog", "status -c FILE | keygen ... | ...", "show or change the quorum of howdahs (howdah watchdog help)", runWatchdog},
		{"version", "", "print the version", runVersion},
	}
	return append(own, operatorCommands()...)
}

// usageError is a command line that was not understood; command may be empty.
type usageError struct {
	command string
	what    string
}

func (e *usageError) Error() string { return e.what }

// run runs the command that args name.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return &usageError{what: "no command given"}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return runHelp(args[1:], stdout)
	case vip.GuardianCommand: // not for people: started by a howdah that holds an address
		return vip.RunGuardian(stderr, watchdog.ExecuteWill)
	case "-v", "-version", "--version":
		args = append([]string{"version"}, args[1:]...)
	}
	args = twoWords(args)
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, args[1:], stdout, stderr)
		if errors.Is(err, flag.ErrHelp) {
			return runHelp([]string{c.name}, stdout)
		}
		return err
	}
	return &usageError{what: fmt.Sprintf("unknown command %q", args[0]) + meant(args[0])}
}

// exitCode reports err, if there is one, and says how to exit.
func exitCode(err error, stderr io.Writer) int {
	var usage *usageError
	var faults configs.Faults
	var away *unreachable
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &away):
		fmt.Fprintf(stderr, "howdah: %v\n", err)
		return exitUnreachable
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "howdah: %v\ntry: %s\n", err, strings.TrimSpace("howdah help "+usage.command))
		return exitUsage
	case errors.As(err, &faults): // each has its file and line, as editors and compilers have them
		fmt.Fprintln(stderr, faults)
		err = errors.New("the configuration is not valid")
	}
	fmt.Fprintf(stderr, "howdah: %v\n", err)
	return exitError
}

// runHelp prints what there is, or how one command is used.
func runHelp(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stdout, "howdah is one endpoint in front of a PostgreSQL primary and its standbys.\n\nusage: howdah COMMAND\n\n")
		for _, c := range commands() {
			if c.name == admin.Commands()[0].Name {
				fmt.Fprint(stdout, "\nof a running howdah (-c FILE | --socket PATH | --url URL --user NAME, --json, --watch):\n\n")
			}
			fmt.Fprintf(stdout, "  %-28s  %s\n", strings.TrimSpace(c.name+" "+c.usage), c.summary)
		}
		fmt.Fprintf(stdout, "\n  %-28s  %s\n", "help [COMMAND]", "print this, or how a command is used")
		return nil
	}
	for _, c := range commands() {
		if c.name == args[0] && len(args) == 1 {
			fmt.Fprintf(stdout, "usage: %s\n\n%s\n", strings.TrimSpace("howdah "+c.name+" "+c.usage), c.summary)
			return nil
		}
	}
	return &usageError{what: fmt.Sprintf("no help for %q", strings.Join(args, " "))}
}

// newFlags is a flag set that reports nothing itself.
func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// parseFlags parses args, which must hold flags only. The error is a
// *usageError or flag.ErrHelp.
func parseFlags(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return &usageError{flags.Name(), err.Error()}
	}
	if flags.NArg() > 0 {
		return &usageError{flags.Name(), fmt.Sprintf("unexpected argument %q", flags.Arg(0))}
	}
	return nil
}

// parseMixed parses args in which flags and other arguments may come in any
// order, and returns the others.
func parseMixed(flags *flag.FlagSet, args []string) (others []string, err error) {
	for {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, &usageError{flags.Name(), err.Error()}
		}
		if flags.NArg() == 0 {
			return others, nil
		}
		others, args = append(others, flags.Arg(0)), flags.Args()[1:]
	}
}

// configFlag adds -c FILE, and requireConfig refuses its absence.
func configFlag(flags *flag.FlagSet) *string { return flags.String("c", "", "") }

func requireConfig(name, path string) error {
	if path == "" {
		return &usageError{name, "-c FILE is missing"}
	}
	return nil
}

func runServe(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := newFlags("serve")
	path := configFlag(flags)
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	if err := requireConfig("serve", *path); err != nil {
		return err
	}
	return serve(ctx, *path, stdout, stderr)
}

// meant names the commands that begin like a word that is none.
func meant(word string) string {
	var all []string
	for _, c := range commands() {
		if len(word) > 1 && strings.HasPrefix(c.name, word) {
			all = append(all, strings.Replace(c.name, "log-", "log ", 1))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(all, " or ") + "?"
}
