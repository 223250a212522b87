package cluster

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// primary_conninfo is a connection string of libpq (PostgreSQL manual, section 34.1.1): words key = value, or a URI.
// The functions here change where it leads and leave everything else, which may be secret, as it is.

// frozenInfo is a connection string that leads nowhere, from which thawedInfo gets back the one that was: of two
// words of the same key libpq takes the last. The directory does not exist, so that an attempt to connect fails at once.
func frozenInfo(info string) string {
	if strings.Contains(info, frozenMark) {
		return info
	}
	if isURI(info) {
		return info + separator(info) + "host=" + frozenMark
	}
	return info + frozenWords
}

const frozenWords = " hostaddr='' host='" + frozenMark + "'"

// thawedInfo is the connection string as it was before it was frozen.
func thawedInfo(info string) string {
	info = strings.TrimSuffix(info, frozenWords)
	if isURI(info) {
		for _, sep := range []string{"?", "&"} {
			info = strings.TrimSuffix(info, sep+"host="+frozenMark)
		}
	}
	return info
}

func isURI(info string) bool {
	return strings.HasPrefix(info, "postgres://") || strings.HasPrefix(info, "postgresql://")
}

func separator(uri string) string {
	if strings.Contains(uri, "?") {
		return "&"
	}
	return "?"
}

// repointedInfo is the connection string, frozen or not, with another host and port.
func repointedInfo(info, host string, port int) (string, error) {
	info = thawedInfo(info)
	if isURI(info) {
		u, err := url.Parse(info)
		if err != nil {
			return "", errors.New("primary_conninfo is not a URI that can be read") // err may quote a password
		}
		q := u.Query()
		for _, key := range []string{"host", "hostaddr", "port"} {
			q.Del(key)
		}
		u.Host = ""
		q.Set("host", host)
		q.Set("port", strconv.Itoa(port))
		u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
		if u.Path == "" {
			u.Path = "/" // or the slashes before it would be left out
		}
		return u.String(), nil
	}
	words, err := splitInfo(info)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, w := range words {
		if w.key != "host" && w.key != "hostaddr" && w.key != "port" {
			fmt.Fprintf(&b, "%s=%s ", w.key, quote(w.value))
		}
	}
	fmt.Fprintf(&b, "host=%s port=%d", quote(host), port)
	return b.String(), nil
}

type infoWord struct{ key, value string }

var errInfo = errors.New("primary_conninfo is not a connection string that can be read")

// splitInfo reads the words of a connection string; the last of a key counts.
func splitInfo(info string) ([]infoWord, error) {
	var words []infoWord
	for {
		info = strings.TrimLeft(info, " \t\r\n")
		if info == "" {
			return words, nil
		}
		key, rest, ok := strings.Cut(info, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" || strings.ContainsAny(key, " '\\") {
			return nil, errInfo
		}
		value, rest, err := infoValue(strings.TrimLeft(rest, " \t\r\n"))
		if err != nil {
			return nil, err
		}
		for i := range words {
			if words[i].key == key {
				words = append(words[:i], words[i+1:]...)
				break
			}
		}
		words = append(words, infoWord{key, value})
		info = rest
	}
}

// infoValue reads a value, which may be quoted, and returns what follows it.
func infoValue(text string) (value, rest string, err error) {
	quoted := strings.HasPrefix(text, "'")
	if quoted {
		text = text[1:]
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case quoted && c == '\'':
			return b.String(), text[i+1:], nil
		case !quoted && strings.IndexByte(" \t\r\n", c) >= 0:
			return b.String(), text[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", errInfo
	}
	return b.String(), "", nil
}
