package configs

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// decoder puts a YAML tree into a Config and reports every node that does not
// fit. Its recursion follows the Config's types, not the file, so neither deep
// nesting nor an alias to itself can make it run away.
type decoder struct {
	*faultList
	folder string // of the configuration file
}

// value decodes n into v, which is the value of key; tag is that of its field.
func (d *decoder) value(n *yaml.Node, v reflect.Value, key string, tag reflect.StructTag) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.lines[key] = n.Line
	switch v.Kind() {
	case reflect.Struct:
		d.section(n, v, key)
	case reflect.Slice:
		d.list(n, v, key, tag)
	default:
		d.scalar(n, v, key, tag)
	}
}

// section decodes a mapping into a struct.
func (d *decoder) section(n *yaml.Node, v reflect.Value, key string) {
	if isNull(n) { // a section whose keys are all commented out
		return
	}
	if n.Kind != yaml.MappingNode {
		what := "is " + kindOf(n) + ", not keys and values"
		if key == "" {
			what = "the file " + what
		}
		d.add(n.Line, key, what, "write one of its keys per line: "+strings.Join(keysOf(v.Type()), ", "))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, child := n.Content[i], n.Content[i+1]
		path := joinKey(key, shorten(name.Value))
		index := fieldIndex(v.Type(), name)
		if index < 0 {
			d.unknownKey(n, name, v.Type(), key, path)
			continue
		}
		if line, twice := first[name.Value]; twice {
			d.add(name.Line, path, fmt.Sprintf("is given a second time, first on line %d", line), "remove one of them")
			continue
		}
		first[name.Value] = name.Line
		d.value(child, v.Field(index), path, v.Type().Field(index).Tag)
		d.lines[path] = name.Line
	}
}

// list decodes a sequence into a slice. It replaces the default.
func (d *decoder) list(n *yaml.Node, v reflect.Value, key string, tag reflect.StructTag) {
	if c, ok := v.Addr().Interface().(*Command); ok && n.Kind == yaml.ScalarNode && !isNull(n) {
		d.shell(n, c, key, tag)
		return
	}
	if n.Kind != yaml.SequenceNode {
		advice := "write [] for none"
		if n.Kind == yaml.ScalarNode && !isNull(n) {
			advice = "put brackets around it, [ and ]" // not repeated: it may hold a secret
		} else if n.Kind == yaml.MappingNode {
			advice = "begin every entry with a hyphen"
		}
		d.add(n.Line, key, "is "+kindOf(n)+", not a list", advice)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, child := range n.Content {
		item := v.Index(i)
		switch p := item.Addr().Interface().(type) {
		case *Backend:
			*p = DefaultBackend()
		case *Redirect:
			*p = DefaultRedirect()
		}
		d.value(child, item, fmt.Sprintf("%s[%d]", key, i), tag)
	}
}

// shell decodes a command that is one text.
func (d *decoder) shell(n *yaml.Node, c *Command, key string, tag reflect.StructTag) {
	var text string
	d.scalar(n, reflect.ValueOf(&text).Elem(), key, tag)
	*c = nil
	if strings.TrimSpace(text) != "" {
		*c = Command{"/bin/sh", "-c", text}
	}
}

// scalar decodes one value, which may be given as !file or !env.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, key string, tag reflect.StructTag) {
	if n.Kind != yaml.ScalarNode {
		d.add(n.Line, key, "is "+kindOf(n)+", not a single value", "write "+exampleOf(v, tag))
		return
	}
	text, shown, err := d.text(n)
	if err == nil && isNull(n) {
		err = &valueError{"has no value", "write " + exampleOf(v, tag) + ", or remove the key"}
	} else if err == nil {
		if err = setScalar(v, text); err != nil {
			if tag.Get("secret") != "" {
				shown = "the secret"
			}
			ve := withAdvice(err, err.Error(), "").(*valueError)
			err = &valueError{shown + " " + ve.what, ve.advice}
		}
	}
	if err != nil {
		ve := withAdvice(err, err.Error(), "").(*valueError)
		d.add(n.Line, key, ve.what, ve.advice)
		return
	}
	if tag.Get("path") != "" && text != "" && !filepath.IsAbs(text) {
		v.SetString(filepath.Join(d.folder, text))
	}
}

// unknownKey reports a key the section does not have, and which was meant. What
// was meant counts as given (wrongly), lest it be reported missing too.
func (d *decoder) unknownKey(in, name *yaml.Node, t reflect.Type, section, path string) {
	known := keysOf(t)
	advice := "known here: " + strings.Join(known, ", ")
	switch near := nearest(name.Value, known); {
	case name.Kind != yaml.ScalarNode:
		path, advice = joinKey(section, "?"), "a key is a single word; "+advice
	case name.Tag == "!!merge":
		advice = "merge keys are not read, write the keys out"
	case near != "":
		advice = fmt.Sprintf("did you mean %s?", near)
		if !hasKey(in, near) {
			d.bad[joinKey(section, near)] = true
		}
	default:
		if homes := sectionsWith(reflect.TypeFor[Config](), "", name.Value); len(homes) > 0 {
			advice = "there is " + strings.Join(homes, " and ") + "; " + advice
		}
	}
	d.add(name.Line, path, "unknown key", advice)
}

// setScalar sets v from a text of the file; the error is a *valueError.
func setScalar(v reflect.Value, text string) error {
	var err error
	switch p := v.Addr().Interface().(type) {
	case *string:
		if strings.ContainsRune(text, 0) {
			return &valueError{"contains a zero byte", "remove it, PostgreSQL cannot take it"}
		}
		*p = text
	case *time.Duration:
		*p, err = parseDuration(text)
	case *ByteSize:
		*p, err = parseByteSize(text)
	case *FileMode:
		*p, err = parseFileMode(text)
	case *int:
		if *p, err = strconv.Atoi(text); err != nil {
			return &valueError{"is not a whole number", "write digits, as in 100"}
		}
	case *float64:
		if *p, err = strconv.ParseFloat(text, 64); err != nil || math.IsNaN(*p) || math.IsInf(*p, 0) {
			return &valueError{"is not a number", "write a number, as in 1 or 0.5"}
		}
	case *bool:
		*p, err = parseSwitch(text)
	default:
		panic(fmt.Sprintf("configs: no decoding for type %s", v.Type())) // a new field of a new type
	}
	return err
}

// exampleOf is how a value of v's type may be written.
func exampleOf(v reflect.Value, tag reflect.StructTag) string {
	if enum := tag.Get("enum"); enum != "" {
		return "one of " + strings.ReplaceAll(enum, ",", ", ")
	}
	switch v.Interface().(type) {
	case time.Duration:
		return "a duration, as in 500ms or 1min"
	case ByteSize:
		return "a size, as in 64MB"
	case FileMode:
		return "an octal file mode, as in 0770"
	case int:
		return "a whole number"
	case float64:
		return "a number"
	case bool:
		return "on or off"
	}
	return `a text ("" for the empty one)`
}

// isNull says whether nothing was written, or ~ or null.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kindOf(n *yaml.Node) string {
	switch {
	case isNull(n):
		return "empty"
	case n.Kind == yaml.MappingNode:
		return "keys and values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

// keysOf are the keys of a section, in the order of its struct.
func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}

// fieldIndex is the field that a key node names, or -1.
func fieldIndex(t reflect.Type, name *yaml.Node) int {
	if name.Kind != yaml.ScalarNode {
		return -1
	}
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") == name.Value {
			return i
		}
	}
	return -1
}

// hasKey says whether a mapping has a key.
func hasKey(n *yaml.Node, name string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return true
		}
	}
	return false
}

// sectionsWith lists where in the configuration there is a key of that name.
func sectionsWith(t reflect.Type, path, name string) []string {
	var found []string
	for i := range t.NumField() {
		f := t.Field(i)
		key := joinKey(path, f.Tag.Get("yaml"))
		if f.Tag.Get("yaml") == name {
			found = append(found, key)
		}
		switch {
		case f.Type.Kind() == reflect.Struct:
			found = append(found, sectionsWith(f.Type, key, name)...)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			found = append(found, sectionsWith(f.Type.Elem(), key+"[]", name)...)
		}
	}
	return found
}

func joinKey(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

// maxShown bounds what a message repeats of the file.
const maxShown = 60

// shorten makes a text of the file fit for one line of a message.
func shorten(text string) string {
	text = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return text
}
