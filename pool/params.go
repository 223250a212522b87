package pool

import "github.com/howdah/howdah/wire"

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

// All calls f for every setting in order.
func (p *Params) All(f func(name, value string)) {
	if p == nil {
		return
	}
	for i, n := range p.names {
		f(n, p.values[i])
	}
}

// AppendParameterStatus appends one ParameterStatus message.
func AppendParameterStatus(dst []byte, name, value string) []byte {
	return wire.AppendMessage(dst, wire.ParameterStatus, name, "\x00", value, "\x00")
}

// text is all there is to know of p; equal settings in the same order have equal texts.
func (p *Params) text() string {
	var b []byte
	p.All(func(name, value string) { b = append(append(append(append(b, name...), 0), value...), 0) })
	return string(b)
}
