package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestParseOptions(t *testing.T) {
	t.Parallel()
	runCases(t, "options.txt", func(_ *testing.T, input string) string {
		_, line, _ := strings.Cut(input, "\n")
		o, err := parseOptions(strings.Fields(line), io.Discard)
		if err != nil {
			return "error: " + err.Error()
		}
		return fmt.Sprintf("rounds %d, seconds %d, scale %d, idle %d\nclients %v, modes %v\ncontenders %v\nloads %v",
			o.rounds, o.seconds, o.scale, o.idle, o.clients, o.modes, o.contenders, o.loads())
	})
}

func TestSelectContenders(t *testing.T) {
	t.Parallel()
	chosen, err := selectContenders(contenders(), []string{"pgbouncer", "direct"})
	if err != nil {
		t.Fatal(err)
	}
	if len(chosen) != 2 || chosen[0].name != "direct" || chosen[1].name != "pgbouncer" {
		t.Errorf("got %v, want direct and pgbouncer in the table's order", chosen)
	}
	if _, err := selectContenders(contenders(), []string{"odyssey"}); err == nil || !strings.Contains(err.Error(), "haproxy") {
		t.Errorf("got %v, want an error that lists the contenders", err)
	}
}

func TestFindProgramsSaysHowToInstall(t *testing.T) {
	t.Parallel()
	_, err := findPrograms([]contender{
		{name: "a", program: "no-such-proxy-a", pkg: "package-a"},
		{name: "b", program: "no-such-proxy-b", pkg: "package-b"},
	}, "unused")
	if err == nil || !strings.Contains(err.Error(), "apt-get install -y --no-install-recommends package-a package-b") {
		t.Errorf("got %v, want the install command", err)
	}
	_, err = findPrograms([]contender{{name: "howdah", program: "howdah"}}, "testdata/no-such-binary")
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v, want a hint at make build", err)
	}
}
