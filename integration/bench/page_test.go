package main

import (
	"strings"
	"testing"
)

// A run's part of the page takes the place of what there was of it; all else stays.
func TestPage(t *testing.T) {
	t.Parallel()
	const line = "| %s | howdah | pgbouncer | CPU | ≤ 1.2 | %s |\n"
	make := func(facts, load, tps, goals, more string) string {
		return "# Benchmarks\n\nIntroduction of " + tps + ".\n\n## Where it ran\n\n| | |\n|---|---|\n" + facts + "\n## Results\n\n### " + load +
			"\n\nNote.\n\n| contender | tps |\n|---|---:|\n| howdah | " + tps + " |\n\n### Against the goals\n\n| load | contender | against | ratio of | goal | found |\n|---|---:|\n" + goals + more
	}
	goal := func(load, found string) string {
		return strings.NewReplacer("%s", load).Replace(strings.Replace(line, "| %s |\n", "| "+found+" |\n", 1))
	}
	runs := []string{
		make("| Date | 1 |\n| HAProxy | 2.6 |\n", "A", "10", goal("A", "1.0")+goal("C", "3.0"), "\n### Memory\n\n| contender | kB |\n|---|---:|\n"),
		make("| Date | 2 |\n", "B", "20", goal("B", "2.0"), ""),
		make("| Date | 3 |\n", "A", "30", goal("A", "1.3"), ""),
	}
	var p page
	for _, run := range runs {
		newer, ok := parsePage(run)
		if !ok || newer.text() != run {
			t.Fatalf("a page is not what it was:\n%s\nbut\n%s", run, newer.text())
		}
		if p = p.with(newer); len(p.sections) == 3 && p.text() != run {
			t.Errorf("the first run becomes\n%s", p.text())
		}
		again, _ := parsePage(p.text())
		p = again
	}
	want := make("| Date | 3 |\n| HAProxy | 2.6 |\n", "A", "30", goal("A", "1.3")+goal("C", "3.0")+goal("B", "2.0"), "\n### Memory\n\n| contender | kB |\n|---|---:|\n")
	want = strings.Replace(want, "### Against", "### B\n\nNote.\n\n| contender | tps |\n|---|---:|\n| howdah | 20 |\n\n### Against", 1)
	if got := p.text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, ok := parsePage("something else"); ok {
		t.Error("any text is a page")
	}
}
