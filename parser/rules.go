package parser

import (
	"fmt"
	"regexp"
)

// Rules are the operator's own words about functions and texts. They are
// immutable; nil has none.
//
// The lists come before all that is known of a function otherwise. An entry may
// name it bare or with its schema, however the statement spells it; without
// Knowledge a bare name in a statement has no schema. Unlike in
// Pgpool-II a function in no list is not a write for that.
type Rules struct {
	readOnly, write []*regexp.Regexp
	patterns        []pattern
}

// pattern is one of primary_patterns, with a number of its own under which
// verdicts remember that they were overruled by it.
type pattern struct {
	*regexp.Regexp
	id uint64
}

// NewRules makes rules from regular expressions (RE2), as Pgpool-II's
// read_only_function_list, write_function_list and
// primary_routing_query_pattern_list have them: case does not matter, and those
// for functions match the whole name; a pattern may match anywhere in the text.
// The error is about the first that is not valid.
func NewRules(readOnly, write, primaryPatterns []string) (*Rules, error) {
	r := &Rules{}
	var err error
	if r.readOnly, err = compileAll(readOnly); err != nil {
		return nil, err
	}
	if r.write, err = compileAll(write); err != nil {
		return nil, err
	}
	for _, text := range primaryPatterns {
		re, err := CompilePattern(text)
		if err != nil {
			return nil, err
		}
		r.patterns = append(r.patterns, pattern{re, nextID()})
	}
	return r, nil
}

func compileAll(texts []string) ([]*regexp.Regexp, error) {
	var all []*regexp.Regexp
	for _, text := range texts {
		re, err := CompileFunctionRule(text)
		if err != nil {
			return nil, err
		}
		all = append(all, re)
	}
	return all, nil
}

// CompileFunctionRule reads one entry of a function list.
func CompileFunctionRule(text string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(text); err != nil { // before more is around it
		return nil, fmt.Errorf("compile function rule: %w", err)
	}
	return regexp.Compile("(?i)^(?:" + text + ")$")
}

// CompilePattern reads one entry of primary_patterns.
func CompilePattern(text string) (*regexp.Regexp, error) {
	re, err := regexp.Compile("(?is)" + text)
	if err != nil {
		return nil, fmt.Errorf("compile pattern: %w", err)
	}
	return re, nil
}

// function is what the lists say of a function under any of its names; false if
// they say nothing. A function in both lists writes.
func (r *Rules) function(names ...string) (effect, bool) {
	if r == nil {
		return effect{}, false
	}
	for _, name := range names {
		if matchesAny(r.write, name) {
			return effect{access: AccessWrite, reason: "function " + name + " is in routing.functions.write"}, true
		}
	}
	for _, name := range names {
		if matchesAny(r.readOnly, name) {
			return effect{}, true
		}
	}
	return effect{}, false
}

func matchesAny(list []*regexp.Regexp, name string) bool {
	for _, re := range list {
		if re.MatchString(name) {
			return true
		}
	}
	return false
}

// HasPatterns reports whether Judge matches texts with patterns.
func (r *Rules) HasPatterns() bool { return r != nil && len(r.patterns) > 0 }

// Judge applies primary_patterns to a verdict that may be a read: a text that
// one matches is a write. Without patterns it costs nothing; with them every execution matches the text
// against each, since texts of one skeleton share a verdict that knows no literals.
// The overruled verdict is remembered with v, so that nothing is allocated.
func (r *Rules) Judge(v *Verdict, text []byte) *Verdict {
	if r == nil || len(r.patterns) == 0 || v == nil || !v.mayRead() {
		return v
	}
	for i := range r.patterns {
		p := &r.patterns[i]
		if !p.Match(text) {
			continue
		}
		if known := v.resolved.find(p.id, p.id); known != nil {
			return known
		}
		overruled := *v
		overruled.Access, overruled.Reason = AccessWrite, "routing.primary_patterns "+p.String()
		overruled.resolved = &resolutions{}
		overruled.settled, overruled.Trustable = true, false
		v.resolved.add(p.id, &overruled)
		return &overruled
	}
	return v
}

// mayRead is whether Resolve could find that it only reads.
func (v *Verdict) mayRead() bool {
	for i := range v.Statements {
		if st := &v.Statements[i]; st.Uses == nil && st.Access > AccessRead {
			return false
		}
	}
	return true
}
