package wire

// ParseProxyHeader is what ReadProxyHeader knows of a header from its first bytes.
func ParseProxyHeader(b []byte) (need, size int, err error) {
	h, err := parseProxyHeader(b)
	return h.need, h.size, err
}
