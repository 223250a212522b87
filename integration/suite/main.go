package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// options are the command line.
type options struct {
	howdah, source, out, mode string
	suites                    []string
	// fast: howdah logs no decisions, which it must take one by one for that.
	fast bool
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, os.Stdout, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(1)
	}
}

func parse(args []string) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("suite", flag.ContinueOnError)
	flags.StringVar(&o.howdah, "howdah", "bin/howdah", "the howdah binary")
	flags.StringVar(&o.source, "source", "", "PostgreSQL's unpacked source; fetched if empty")
	flags.StringVar(&o.out, "out", "", "directory for the outputs, kept; a temporary one if empty")
	flags.StringVar(&o.mode, "mode", "session", "pool.mode: session or transaction")
	flags.BoolVar(&o.fast, "fast", false, "let plain reads be sent before they are planned; without it each decision is logged and counted")
	which := flags.String("suite", "", "regress or isolation; both if empty")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch *which {
	case "":
		o.suites = []string{"regress", "isolation"}
	case "regress", "isolation":
		o.suites = []string{*which}
	default:
		return nil, fmt.Errorf("-suite %s: it is regress or isolation", *which)
	}
	if o.mode != "session" && o.mode != "transaction" {
		return nil, fmt.Errorf("-mode %s: it is session or transaction", o.mode)
	}
	var err error
	o.howdah, err = filepath.Abs(o.howdah)
	return o, err
}

// run is the whole program. What it makes is gone afterwards, but for -out.
func run(ctx context.Context, w io.Writer, o *options) error {
	src, err := findSource(ctx, w, o.source)
	if err != nil {
		return err
	}
	known, err := readDifferences("integration/suite/testdata/differences.txt", o.mode)
	if err != nil {
		return err
	}
	out := o.out
	if out == "" {
		if out, err = os.MkdirTemp("", "howdah-suite-"); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
		defer os.RemoveAll(out)
		if err := os.Chmod(out, 0o755); err != nil { // root's tests run as another account
			return fmt.Errorf("open directory: %w", err)
		}
	}
	if out, err = filepath.Abs(out); err != nil {
		return fmt.Errorf("resolve %s: %w", o.out, err)
	}
	var failures []error
	for _, suite := range o.suites {
		direct, err := play(ctx, w, o, src, suite, filepath.Join(out, suite, "direct"), false)
		if err != nil {
			return err
		}
		through, err := play(ctx, w, o, src, suite, filepath.Join(out, suite, "howdah"), true)
		if err != nil {
			return err
		}
		failures = append(failures, report(w, suite, direct, through, known[suite], o.out != ""))
		if o.fast && suite == "regress" && through.fast == 0 {
			failures = append(failures, errors.New("regress: no read was sent before it was planned, so that -fast tested nothing"))
		}
	}
	return errors.Join(failures...)
}
