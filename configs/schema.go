package configs

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Schema is the JSON schema (draft 2020-12) of the file, for editors: keys, types, choices, ranges
// and defaults, described in the sample's words. What only the whole file tells (names that are
// given twice, keys that need others) only Load finds.
func Schema() ([]byte, error) {
	var sample yaml.Node
	if err := yaml.Unmarshal([]byte(Sample), &sample); err != nil {
		return nil, err
	}
	defaults := Default()
	top := schemaOf(reflect.TypeFor[Config](), "", reflect.ValueOf(defaults), sample.Content[0])
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["title"] = "howdah's configuration"
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(top)
	return b.Bytes(), err
}

type schema = map[string]any

// schemaOf describes a type; def is its default, or invalid, and n its value in the sample, or nil.
func schemaOf(t reflect.Type, tag reflect.StructTag, def reflect.Value, n *yaml.Node) schema {
	switch t.Kind() {
	case reflect.Struct:
		properties := schema{}
		for i := range t.NumField() {
			f := t.Field(i)
			name := f.Tag.Get("yaml")
			var d reflect.Value
			if def.IsValid() {
				d = def.Field(i)
			}
			key, value := pairOf(n, name)
			p := schemaOf(f.Type, f.Tag, d, value)
			if text := commentText(key); text != "" {
				p["description"] = text
			}
			properties[name] = p
		}
		return schema{"type": "object", "additionalProperties": false, "properties": properties}
	case reflect.Slice:
		if t == reflect.TypeFor[Command]() {
			return schema{"description": "a program and its arguments, or one text for the shell",
				"anyOf": []schema{{"type": "string"}, {"type": "array", "items": schema{"type": "string"}}}}
		}
		var first *yaml.Node
		if n != nil && n.Kind == yaml.SequenceNode && len(n.Content) > 0 {
			first = n.Content[0]
		}
		return schema{"type": "array", "items": schemaOf(t.Elem(), tag, defaultOf(t.Elem()), first)}
	}
	s := scalarSchema(t, tag)
	if def.IsValid() {
		s["default"] = defaultValue(def)
	}
	return s
}

// defaultOf is what an element of a list has where it says nothing.
func defaultOf(t reflect.Type) reflect.Value {
	switch t {
	case reflect.TypeFor[Backend]():
		return reflect.ValueOf(DefaultBackend())
	case reflect.TypeFor[Redirect]():
		return reflect.ValueOf(DefaultRedirect())
	case reflect.TypeFor[Peer]():
		return reflect.ValueOf(DefaultPeer())
	}
	return reflect.Value{}
}

// scalarSchema describes a value that is no list.
func scalarSchema(t reflect.Type, tag reflect.StructTag) schema {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return schema{"anyOf": []schema{{"type": "string", "pattern": `^[0-9.]+ ?(us|ms|s|min|h|d)$`}, {"const": 0}}}
	case reflect.TypeFor[ByteSize]():
		return schema{"anyOf": []schema{{"type": "string", "pattern": `^[0-9]+ ?(?i:B|kB|MB|GB|TB)?$`}, {"type": "integer", "minimum": 0}}}
	case reflect.TypeFor[FileMode]():
		return schema{"anyOf": []schema{{"type": "string", "pattern": `^0?o?[0-7]+$`}, {"type": "integer"}}}
	}
	switch t.Kind() {
	case reflect.Bool:
		return schema{"enum": []any{true, false, "on", "off"}}
	case reflect.String:
		if enum := tag.Get("enum"); enum != "" {
			var all []any
			for _, v := range strings.Split(enum, ",") {
				all = append(all, v)
				if v == "off" { // which YAML 1.1 takes for a switch
					all = append(all, false)
				}
			}
			return schema{"enum": all}
		}
		return schema{"type": "string"}
	}
	s := schema{"type": "integer"}
	if t.Kind() == reflect.Float64 {
		s["type"] = "number"
	}
	for name, limit := range map[string]string{"minimum": tag.Get("min"), "maximum": tag.Get("max")} {
		if v, err := strconv.ParseFloat(limit, 64); err == nil {
			s[name] = v
		}
	}
	return s
}

// defaultValue is a default as the file would have it.
func defaultValue(v reflect.Value) any {
	switch d := v.Interface().(type) {
	case time.Duration, ByteSize, FileMode:
		return formatValue(v)
	case bool:
		return d
	}
	return v.Interface()
}

// pairOf finds a key of a mapping.
func pairOf(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// commentText is the comment before a key, as one text.
func commentText(key *yaml.Node) string {
	if key == nil {
		return ""
	}
	var words []string
	for line := range strings.Lines(key.HeadComment) {
		words = append(words, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#")))
	}
	return strings.TrimSpace(strings.Join(words, "\n"))
}
