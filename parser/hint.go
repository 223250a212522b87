package parser

import (
	"bytes"
	"strings"
)

// Route is where a hint asks a statement to run.
type Route uint8

const (
	RouteNone    Route = iota // nothing was said
	RouteAuto                 // as if there were no hint
	RoutePrimary              // on the primary
	RouteRead                 // on a read node
	RouteNode                 // on the node that Hint.Node names
)

// Hint is a wish of the client: in a comment, or as the setting howdah.route.
type Hint struct {
	Route Route
	Node  string // of RouteNode only
}

// maxNodeName is the longest name that a node can have.
const maxNodeName = 63

// ParseRoute reads a hint's value: auto, primary, read or node:NAME, in any case
// but for the name.
func ParseRoute(value string) (Hint, bool) {
	route, node := readRoute([]byte(value))
	return Hint{Route: route, Node: string(node)}, route != RouteNone
}

// String is the value that ParseRoute reads; RouteNone's is empty.
func (h Hint) String() string {
	switch h.Route {
	case RouteAuto:
		return "auto"
	case RoutePrimary:
		return "primary"
	case RouteRead:
		return "read"
	case RouteNode:
		return nodePrefix + h.Node
	}
	return ""
}

const nodePrefix = "node:"

// readRoute allocates nothing; node lies in value.
func readRoute(value []byte) (route Route, node []byte) {
	switch {
	case equalFold(value, "auto"):
		return RouteAuto, nil
	case equalFold(value, "primary"):
		return RoutePrimary, nil
	case equalFold(value, "read"):
		return RouteRead, nil
	case len(value) > len(nodePrefix) && equalFold(value[:len(nodePrefix)], nodePrefix):
		if node = value[len(nodePrefix):]; isNodeName(node) {
			return RouteNode, node
		}
	}
	return RouteNone, nil
}

// isNodeName is what the configuration allows as a name, so that it cannot end a comment.
func isNodeName(name []byte) bool {
	for _, c := range name {
		if k := class[c]; k != digit && c != '.' && c != '-' && (k != ident || c > 127) {
			return false
		}
	}
	return len(name) > 0 && len(name) <= maxNodeName
}

// leadingBytes is how much of a text its leading comments can fill: all, or nothing.
func leadingBytes(sql string) int {
	for i := range len(sql) {
		switch class[sql[i]] {
		case space:
			continue
		case minus, slash:
			return len(sql)
		}
		break
	}
	return 0
}

// leading is what the comments before a text's first token say.
type leading struct {
	commented bool // there is one
	route     Route
	node      []byte // lies in the text
}

// hint is the hint in memory of its own.
func (l *leading) hint() Hint { return Hint{Route: l.route, Node: string(l.node)} }

// readLeading reads the comments before the first token; of several hints the first counts.
// Hints elsewhere in the text are none: a program may put anything into such comments.
func readLeading(sql []byte) (l leading) {
	for i := 0; i+1 < len(sql); {
		var comment []byte
		switch {
		case class[sql[i]] == space:
			i++
			continue
		case sql[i] == '-' && sql[i+1] == '-':
			end := lineEnd(sql, i)
			comment, i = sql[i+2:end], end
		case sql[i] == '/' && sql[i+1] == '*':
			end := commentEnd(sql, i)
			if end < 0 {
				return l
			}
			comment, i = sql[i+2:end-2], end
		default:
			return l
		}
		l.commented = true
		if l.route == RouteNone {
			l.route, l.node = readComment(comment)
		}
	}
	return l
}

// readComment reads the hint in a comment's text: "howdah: route=VALUE", or
// Pgpool-II's "NO LOAD BALANCE".
func readComment(text []byte) (Route, []byte) {
	const prefix, key, noLoadBalance = "howdah:", "route=", "no load balance"
	text = bytes.TrimSpace(text)
	if equalFold(text, noLoadBalance) {
		return RoutePrimary, nil
	}
	if len(text) < len(prefix) || !equalFold(text[:len(prefix)], prefix) {
		return RouteNone, nil
	}
	text = text[len(prefix):]
	for len(text) > 0 {
		word := text
		if end := bytes.IndexAny(text, " \t\r\n,"); end >= 0 {
			word, text = text[:end], text[end+1:]
		} else {
			text = nil
		}
		if len(word) > len(key) && equalFold(word[:len(key)], key) {
			return readRoute(word[len(key):])
		}
	}
	return RouteNone, nil
}

// appendLeading writes what matters of the comments before a text, as a comment:
// it stays in the skeleton, so that texts with different hints have different ones. It is
// never longer than half as long again as the comments.
func appendLeading(dst []byte, l *leading) []byte {
	switch l.route {
	case RouteAuto:
		return append(dst, "/*howdah:route=auto*/"...)
	case RoutePrimary:
		return append(dst, "/*howdah:route=primary*/"...)
	case RouteRead:
		return append(dst, "/*howdah:route=read*/"...)
	case RouteNode:
		dst = append(dst, "/*howdah:route=node:"...)
		return append(append(dst, l.node...), "*/"...)
	}
	return append(dst, "--\n"...)
}

// ownPrefix begins the names of howdah's own settings.
const ownPrefix = "howdah."

// IsOwn is whether the statement is for howdah itself: SET, RESET, SHOW and
// set_config() of its settings, EXPLAIN (HOWDAH), signals to its sessions, and operators' questions.
func (st *Statement) IsOwn() bool {
	switch st.Kind {
	case KindSet, KindSelect:
		return st.Signal.Session != 0 || st.Set != SetNone && strings.HasPrefix(st.Setting, ownPrefix)
	case KindShow:
		return st.Console != "" || strings.HasPrefix(st.Object, ownPrefix)
	case KindExplain:
		return st.Explained != ""
	}
	return false
}
