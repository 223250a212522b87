package configs

import (
	"fmt"
	"regexp"
	"strconv"
)

// maxRedirects bounds routing.redirect; every login goes through it.
const maxRedirects = 1000

// validateRedirects looks at what the tags of Redirect cannot say.
func validateRedirects(c *Config, list *faultList) {
	if n := len(c.Routing.Redirect); n > maxRedirects {
		list.addAt("routing.redirect", fmt.Sprintf("has %d entries", n), fmt.Sprintf("give at most %d", maxRedirects))
		return
	}
	for i := range c.Routing.Redirect {
		r, key := &c.Routing.Redirect[i], fmt.Sprintf("routing.redirect[%d]", i)
		if !list.isBad(key + ".pattern") {
			checkPattern(list, key+".pattern", r.Pattern)
		}
		if !list.isBad(key + ".node") {
			checkRedirectNode(c, list, key+".node", r.Node)
		}
	}
}

func checkPattern(list *faultList, key, pattern string) {
	if pattern == "" {
		list.addAt(key, "is missing", "write a regular expression for the whole name, as in report.*")
	} else if _, err := regexp.Compile(`(?i)^(?:` + pattern + `)$`); err != nil {
		list.addAt(key, strconv.Quote(shorten(pattern))+" is no regular expression", "write it in RE2's syntax: https://github.com/google/re2/wiki/Syntax")
	}
}

func checkRedirectNode(c *Config, list *faultList, key, node string) {
	known := []string{"primary", "standby"}
	for _, b := range c.Backends {
		if b.Name != "" {
			known = append(known, b.Name)
		}
	}
	if node == "" {
		list.addAt(key, "is missing", "write primary, standby or a backend's name")
		return
	}
	if !list.isBad("backends") {
		checkEnum(list, key, node, known)
	}
}
