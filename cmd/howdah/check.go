package main

import (
	"context"
	"fmt"
	"io"

	"github.com/howdah/howdah/configs"
)

// runCheck validates a configuration and the files it points to. Nothing is
// connected to: the servers may be down while their proxy is set up.
func runCheck(_ context.Context, args []string, stdout, stderr io.Writer) error {
	flags := newFlags("check")
	path := configFlag(flags)
	show := flags.Bool("show", false, "")
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	if err := requireConfig("check", *path); err != nil {
		return err
	}
	cfg, err := configs.Load(*path)
	if err != nil {
		return err
	}
	warnings, err := checkFiles(*path, cfg)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintf(stderr, "warning: %s\n", w)
	}
	if *show {
		_, err = io.WriteString(stdout, configs.Show(cfg))
	} else {
		_, err = fmt.Fprintf(stdout, "%s: ok\n", *path)
	}
	return err
}
