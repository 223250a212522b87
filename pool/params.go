package pool

import (
	"iter"

	"github.com/howdah/howdah/wire"
)

// Params are the settings a server reports by ParameterStatus, in the order
// they first came. They are immutable: With makes a new value, so that a session can
// compare by pointer and keep what it has seen.
type Params struct {
	names, values []string
}

// Get returns a setting's reported value.
func (p *Params) Get(name string) (value string, ok bool) {
	if p != nil {
		for i, n := range p.names {
			if n == name {
				return p.values[i], true
			}
		}
	}
	return "", false
}

// With returns p with one setting replaced or added.
func (p *Params) With(name, value string) *Params {
	q := &Params{}
	if p != nil {
		q.names = append(q.names, p.names...)
		q.values = append(q.values, p.values...)
	}
	for i, n := range q.names {
		if n == name {
			q.values[i] = value
			return q
		}
	}
	q.names, q.values = append(q.names, name), append(q.values, value)
	return q
}

// All are the settings in order.
func (p *Params) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		if p == nil {
			return
		}
		for i, n := range p.names {
			if !yield(n, p.values[i]) {
				return
			}
		}
	}
}

// AppendParameterStatus appends one ParameterStatus message.
func AppendParameterStatus(dst []byte, name, value string) []byte {
	return wire.AppendMessage(dst, wire.ParameterStatus, name, "\x00", value, "\x00")
}

// text is all there is to know of p; equal settings in the same order have equal texts.
func (p *Params) text() string {
	var b []byte
	for name, value := range p.All() {
		b = append(append(append(append(b, name...), 0), value...), 0)
	}
	return string(b)
}
