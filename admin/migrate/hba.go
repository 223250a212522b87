package migrate

import (
	"fmt"
	"strings"

	"github.com/howdah/howdah/auth"
)

// convertHBA takes over the rules of a pool_hba.conf that howdah cannot read as it is. A rule with
// a method that howdah does not have becomes one that rejects, so that nobody gets in by a
// later, looser one; it must be at least as wide, so a host name becomes every address.
func convertHBA(name string, data []byte) (rules []string, entries []Entry) {
	for i, line := range strings.Split(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		rule := strings.Join(fields, " ")
		_, err := auth.ParseHBALines([]string{rule})
		if err == nil {
			rules = append(rules, rule)
			continue
		}
		stricter := stricterRule(fields)
		if _, bad := auth.ParseHBALines([]string{stricter}); bad != nil {
			stricter = "host all all all reject"
		}
		rules = append(rules, stricter)
		entries = append(entries, Entry{Name: "pool_hba.conf", Place: fmt.Sprintf("%s:%d", name, i+1), Fate: Unsupported, To: "auth.hba",
			Note: fmt.Sprintf("%q cannot be taken over, it stands as %q until you write another", rule, stricter)})
	}
	if len(rules) == 0 {
		rules = []string{"host all all all reject"}
		entries = append(entries, Entry{Name: "pool_hba.conf", Place: name, Fate: Refused, Note: "has no rule: nobody may connect until you give auth.hba"})
	}
	return rules, entries
}

// stricterRule rejects all whom the rule is about, and perhaps more.
func stricterRule(fields []string) string {
	if len(fields) < 4 || fields[0] == "local" {
		return strings.Join(append(fields[:min(3, len(fields))], "reject"), " ")
	}
	address := fields[3]
	if len(fields) > 5 && strings.ContainsAny(fields[4], ".:") && !strings.Contains(fields[4], "=") {
		address += " " + fields[4] // address and mask
	}
	rule := strings.Join([]string{fields[0], fields[1], fields[2], address, "reject"}, " ")
	if _, err := auth.ParseHBALines([]string{rule}); err != nil {
		rule = strings.Join([]string{fields[0], fields[1], fields[2], "all", "reject"}, " ")
	}
	return rule
}
