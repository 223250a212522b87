package main

import (
	"regexp"
	"slices"
	"strings"
)

// page is the report for docs/, in the parts that runs of the benchmark may bring each.
type page struct {
	head     string // up to the results
	sections []section
}

// section is a titled table and what is said of it.
type section struct{ title, text string }

const (
	resultsTitle = "\n## Results\n"
	factsTitle   = "\n## Where it ran\n\n"
)

// goalsTitle is of the one section to which each run adds lines.
const goalsTitle = "Against the goals"

var reSection = regexp.MustCompile(`(?m)^### (.*)\n`)

func parsePage(text string) (page, bool) {
	head, results, ok := strings.Cut(text, resultsTitle)
	if !ok {
		return page{}, false
	}
	p := page{head: head}
	at := reSection.FindAllStringSubmatchIndex(results, -1)
	for i, m := range at {
		end := len(results)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		p.sections = append(p.sections, section{results[m[2]:m[3]], strings.TrimSpace(results[m[1]:end])})
	}
	return p, true
}

func (p page) text() string {
	var b strings.Builder
	b.WriteString(p.head + resultsTitle)
	for _, s := range p.sections {
		b.WriteString("\n### " + s.title + "\n\n" + s.text + "\n")
	}
	return b.String()
}

// with is the page with what another run brings in place of, or beside, what there is. The loads come first.
func (p page) with(newer page) page {
	all := page{head: newer.head, sections: slices.Clone(p.sections)}
	_, was, _ := strings.Cut(p.head, factsTitle)
	if text, facts, ok := strings.Cut(newer.head, factsTitle); ok {
		all.head = text + factsTitle + mergeRows(strings.TrimSpace(was), strings.TrimSpace(facts), 1) + "\n"
	}
	for _, s := range newer.sections {
		i := slices.IndexFunc(all.sections, func(o section) bool { return o.title == s.title })
		switch {
		case i < 0:
			all.sections = append(all.sections, s)
		case s.title == goalsTitle:
			all.sections[i].text = mergeRows(all.sections[i].text, s.text, goalKey)
		default:
			all.sections[i] = s
		}
	}
	isLoad := func(s section) bool {
		return strings.Contains(s.text, "| contender | tps |") || strings.Contains(s.text, "| contender | MB/s |")
	}
	slices.SortStableFunc(all.sections, func(a, b section) int {
		switch {
		case isLoad(a) == isLoad(b):
			return 0
		case isLoad(a):
			return -1
		}
		return 1
	})
	return all
}

// goalKey is how many columns say what a line of the goals is of.
const goalKey = 4

// mergeRows puts a table's newer lines in the place of those with the same first columns, and the others after them.
func mergeRows(old, newer string, columns int) string {
	key := func(line string) string {
		cells := strings.Split(line, "|")
		return strings.Join(cells[:min(len(cells), 1+columns)], "|")
	}
	var lines []string
	for line := range strings.Lines(old) {
		if strings.HasPrefix(line, "|") { // not what could not be measured then
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	for line := range strings.Lines(newer) {
		line = strings.TrimSuffix(line, "\n")
		if i := slices.IndexFunc(lines, func(o string) bool { return key(o) == key(line) }); i >= 0 && line != "" {
			lines[i] = line
		} else {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
