package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	// maxFileBytes is the longest configuration file that is read.
	maxFileBytes = 1 << 20
	// maxFaults is the most faults that are reported: a file of another kind
	// has one on every line.
	maxFaults = 100
)

// Load reads, decodes and validates a configuration file. What is wrong with
// its contents is a Faults with every fault; a file that cannot be read is
// another error, which wraps the system's.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse decodes and validates the contents of a configuration file. The name is
// used in messages; relative paths in the file are relative to its folder. The
// error is a Faults.
func Parse(name string, data []byte) (*Config, error) {
	list := newFaultList(name)
	if len(data) > maxFileBytes {
		list.add(0, "", "is longer than "+ByteSize(maxFileBytes).String(), "check that this is a howdah configuration")
		return nil, list.err()
	}
	cfg := Default()
	if root := parseYAML(data, list); root != nil {
		d := &decoder{faultList: list, folder: filepath.Dir(name)}
		d.value(root, reflect.ValueOf(&cfg).Elem(), "", "")
	}
	// After a syntax error or a file that is no mapping, what is missing says
	// nothing.
	if !list.bad[""] {
		validate(&cfg, list)
	}
	if n := len(list.faults); n > maxFaults {
		list.err() // sorts, so that the first ones stay
		list.faults = list.faults[:maxFaults]
		list.add(0, "", fmt.Sprintf("%d more faults", n-maxFaults), "correct these first")
	}
	if err := list.err(); err != nil {
		return nil, err
	}
	return &cfg, nil
}

// parseYAML returns the document's root node; nil if there is none (an empty
// file is an empty configuration) or after a syntax error.
func parseYAML(data []byte, list *faultList) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		addSyntaxFault(err, data, list)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		addSyntaxFault(err, data, list)
		return nil
	default:
		list.add(second.Line, "", "a second YAML document begins here", "remove the line with ---, a configuration is one document")
		return nil
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// yamlError is how package yaml writes its errors: "yaml: line 3: did not find …".
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?((?s).*)$`)

// addSyntaxFault reports what package yaml could not read. Its line may be some
// lines off: it is often where the section began. So the two commonest mistakes
// are looked for in the text.
func addSyntaxFault(err error, data []byte, list *faultList) {
	line, what := 0, err.Error()
	if m := yamlError.FindStringSubmatch(what); m != nil {
		line, _ = strconv.Atoi(m[1]) // no number is line 0: unknown
		what = m[2]
	}
	advice := "look near this line for indentation, quotes and brackets"
	switch {
	case strings.Contains(what, "tab character") || strings.Contains(what, "cannot start any token"):
		if found := findLine(data, line, tabIndent); found > 0 {
			line, advice = found, "indent with spaces, never with tabs"
		}
	case strings.Contains(what, "anchor") || strings.Contains(what, "alphabetic or numeric character"):
		line, advice = findLine(data, line, bareStar), `a text that begins with * needs quotes, as in "*"`
	}
	list.add(line, "", "is not YAML: "+shorten(what), advice)
}

var (
	tabIndent = regexp.MustCompile(`^ *\t`)
	bareStar  = regexp.MustCompile(`(^|[\s\[,:])\*`)
)

// findLine is the first line from one before from on that matches, or from.
func findLine(data []byte, from int, what *regexp.Regexp) int {
	for i, line := range strings.Split(string(data), "\n") {
		if i+1 >= from-1 && what.MatchString(line) {
			return i + 1
		}
	}
	return from
}
