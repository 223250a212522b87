package migrate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// sections are the new file's, in its order; one that is not here comes last.
var sections = []string{"listen", "backends", "auth", "tls", "pool", "routing", "catalog", "replication_check", "failover",
	"watchdog", "vip", "limits", "timeouts", "admin", "log"}

// output is the new file as it grows: a mapping of sections.
type output struct{ root yaml.Node }

// set sets a key such as replication_check.user; comment says where it comes from.
func (o *output) set(key string, value *yaml.Node, comment string) {
	n := &o.root
	n.Kind = yaml.MappingNode
	parts := strings.Split(key, ".")
	for _, p := range parts[:len(parts)-1] {
		n = child(n, p)
		n.Kind = yaml.MappingNode
	}
	c := child(n, parts[len(parts)-1])
	*c = *value
	if c.Kind == yaml.SequenceNode {
		keyOf(n, parts[len(parts)-1]).HeadComment = comment
	} else {
		c.LineComment = comment
	}
}

// has says whether the key is set.
func (o *output) has(key string) bool {
	n := &o.root
	for _, p := range strings.Split(key, ".") {
		i := slices.IndexFunc(n.Content, func(c *yaml.Node) bool { return c.Value == p })
		if n.Kind != yaml.MappingNode || i < 0 || i%2 != 0 {
			return false
		}
		n = n.Content[i+1]
	}
	return true
}

// child is the value of a key of a mapping, made if it is not there.
func child(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	value := &yaml.Node{}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, value)
	return value
}

func keyOf(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i]
		}
	}
	return &yaml.Node{}
}

// bare is a value that needs no quotes: a number, a duration, a switch.
func bare(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }

// text is a text, quoted if it would be read as something else.
func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

// list is a list of texts.
func list(items []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, s := range items {
		n.Content = append(n.Content, text(s))
	}
	if len(items) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n
}

// row is a mapping on one line.
func row(pairs ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: pairs}
}

// bytes writes the file, sections in their order.
func (o *output) bytes(head string) ([]byte, error) {
	var sorted yaml.Node
	sorted.Kind = yaml.MappingNode
	rank := func(name string) int {
		if i := slices.Index(sections, name); i >= 0 {
			return i
		}
		return len(sections)
	}
	for r := range len(sections) + 1 {
		for i := 0; i+1 < len(o.root.Content); i += 2 {
			if rank(o.root.Content[i].Value) == r {
				sorted.Content = append(sorted.Content, o.root.Content[i], o.root.Content[i+1])
			}
		}
	}
	var b bytes.Buffer
	for _, line := range strings.Split(strings.TrimRight(head, "\n"), "\n") {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	if len(sorted.Content) == 0 {
		return b.Bytes(), nil
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&sorted); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return b.Bytes(), nil
}
