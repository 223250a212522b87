package auth

import "crypto/sha256"

// Identity is a fingerprint of credentials: equal for equal ones, of no use to
// find them out, and empty for those that prove nothing. Whoever shares what was
// opened with credentials must compare it, so that nobody gets by a looser rule what
// somebody else got by a password.
func (c Credentials) Identity() string {
	d := c.data.open()
	if d == nil {
		return ""
	}
	h := sha256.New()
	switch {
	case d.scram != nil:
		h.Write([]byte("scram\x00"))
		h.Write(d.scram.clientKey[:])
		h.Write(d.scram.serverKey[:])
	case d.secret != nil && d.secret.kind == KindPlain:
		h.Write([]byte("plain\x00" + d.secret.plain))
	case d.secret != nil:
		h.Write([]byte("md5\x00" + d.secret.md5Hash()))
	}
	return string(h.Sum(nil)[:16])
}
