package auth

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
)

// attributeNames are OpenSSL's short names of what subjects are made of.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description",
	"2.5.4.17": "postalCode", "2.5.4.42": "GN", "2.5.4.43": "initials", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym",
	"1.2.840.113549.1.9.1": "emailAddress", "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}

// distinguishedName writes a subject in the form of RFC 2253 as OpenSSL's
// XN_FLAG_RFC2253 does, which is what pg_ident.conf is written for (clientname=DN): the last
// part first, bytes beyond ASCII escaped.
func distinguishedName(raw []byte) (string, error) {
	var parts pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &parts); err != nil || len(rest) > 0 {
		return "", fmt.Errorf("read the subject of the certificate: %w", err)
	}
	var out []string
	for i := len(parts) - 1; i >= 0; i-- {
		var values []string
		for j := len(parts[i]) - 1; j >= 0; j-- {
			a := parts[i][j]
			name, ok := attributeNames[a.Type.String()]
			if !ok {
				name = a.Type.String()
			}
			text, ok := a.Value.(string)
			if !ok {
				return "", fmt.Errorf("read the subject of the certificate: %s is no text", name)
			}
			values = append(values, name+"="+escapeDN(text))
		}
		out = append(out, strings.Join(values, "+"))
	}
	return strings.Join(out, ","), nil
}

func escapeDN(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 || c >= 0x7f:
			fmt.Fprintf(&b, `\%02X`, c)
		case strings.IndexByte(`,+"\<>;`, c) >= 0, c == '#' && i == 0, c == ' ' && (i == 0 || i == len(s)-1):
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
