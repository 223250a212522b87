package configs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxSecretBytes is the longest file that is read for a !file value.
const maxSecretBytes = 64 << 10

// text is what a scalar says, and how a message may name it. A value written as
//
//	password: !file /run/secrets/howdah   is the file's text without its last newline
//	password: !env HOWDAH_PASSWORD        is the environment variable's
//
// The decoder's messages do not repeat such a value, whichever key it is for.
func (d *decoder) text(n *yaml.Node) (text, shown string, err error) {
	switch {
	case n.Tag == "!file":
		text, err = d.fromFile(n.Value)
		return text, "the text of !file " + shorten(n.Value), err
	case n.Tag == "!env":
		text, ok := os.LookupEnv(n.Value)
		if !ok {
			return "", "", &valueError{fmt.Sprintf("the environment variable %q is not set", shorten(n.Value)),
				"set it where howdah is started"}
		}
		return text, "the text of !env " + shorten(n.Value), nil
	case n.Style&yaml.TaggedStyle != 0 && n.Tag != "!!str":
		return "", "", &valueError{"unknown tag " + shorten(n.Tag), "only !file PATH and !env NAME are known"}
	}
	return n.Value, strconv.Quote(shorten(n.Value)), nil
}

// fromFile reads a secret. Only a regular file is read: a pipe or a terminal
// would make howdah wait.
func (d *decoder) fromFile(path string) (string, error) {
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(d.folder, path)
	}
	unreadable := func(err error) error {
		var pathErr *os.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return &valueError{fmt.Sprintf("the file %q cannot be read: %v", shorten(path), err), "check the path and its permissions"}
	}
	if info, err := os.Stat(path); err != nil {
		return "", unreadable(err)
	} else if !info.Mode().IsRegular() {
		return "", unreadable(errors.New("it is not a regular file"))
	}
	f, err := os.Open(path)
	if err != nil {
		return "", unreadable(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return "", unreadable(err)
	}
	if len(data) > maxSecretBytes {
		return "", unreadable(fmt.Errorf("it is longer than %s", ByteSize(maxSecretBytes)))
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}
