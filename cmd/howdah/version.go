package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
)

// version is set by the linker (-ldflags "-X main.version=…"). Otherwise it is
// what the Go tool noted in the binary.
var version string

func runVersion(_ context.Context, args []string, stdout, _ io.Writer) error {
	if err := parseFlags(newFlags("version"), args); err != nil {
		return err
	}
	info, _ := debug.ReadBuildInfo()
	_, err := fmt.Fprintln(stdout, versionLine(version, info))
	return err
}

// versionLine is "howdah VERSION (REVISION, GO)", less what is unknown. info may be nil.
func versionLine(linked string, info *debug.BuildInfo) string {
	name, revision, toolchain := linked, "", "go unknown"
	if info != nil {
		toolchain = info.GoVersion
		if name == "" && info.Main.Version != "(devel)" {
			name = info.Main.Version
		}
		modified := ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value[:min(len(s.Value), 12)]
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = "+changes"
			}
		}
		if revision != "" {
			revision += modified + ", "
		}
	}
	if name == "" {
		name = "unreleased"
	}
	return fmt.Sprintf("howdah %s (%s%s)", name, revision, toolchain)
}

// versionNumber is "howdah VERSION".
func versionNumber() string {
	info, _ := debug.ReadBuildInfo()
	line, _, _ := strings.Cut(versionLine(version, info), " (")
	return line
}
