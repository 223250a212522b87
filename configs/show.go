package configs

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"
)

// mask stands for a secret in what Show writes.
const mask = "********"

// hbaSecret finds the secrets that a pg_hba.conf rule may carry (PostgreSQL
// manual, sections 21.10 and 21.11).
var hbaSecret = regexp.MustCompile(`(?i)\b(ldapbindpasswd|radiussecrets)=("[^"]*"?|[^\s"]+)+`)

// Show writes every setting of c as a configuration file would have it, defaults
// included, secrets masked. What it writes can be read by Parse.
func Show(c *Config) string {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(showNode(reflect.ValueOf(c).Elem(), "")); err != nil {
		panic(fmt.Sprintf("configs: show: %v", err)) // a tree that showNode built wrongly
	}
	return b.String()
}

func showNode(v reflect.Value, tag reflect.StructTag) *yaml.Node {
	switch v.Kind() {
	case reflect.Struct:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for i := range v.NumField() {
			field := v.Type().Field(i).Tag
			n.Content = append(n.Content, textNode(field.Get("yaml")), showNode(v.Field(i), field))
		}
		return n
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if v.Len() == 0 {
			n.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			n.Content = append(n.Content, showNode(v.Index(i), tag))
		}
		return n
	case reflect.String:
		text := hbaSecret.ReplaceAllString(v.String(), "$1="+mask)
		if tag.Get("secret") != "" && text != "" {
			text = mask
		}
		return textNode(text)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: formatValue(v)}
}

// textNode is a text, quoted if it would be read as something else.
func textNode(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

// formatValue writes a value that is not a text as the file would have it.
func formatValue(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return formatDuration(x)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case bool:
		if x {
			return "on"
		}
		return "off"
	}
	return fmt.Sprint(v.Interface())
}
