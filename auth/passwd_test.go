package auth_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/howdah/howdah/auth"
)

const verifierSample = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

func TestParsePasswd(t *testing.T) {
	t.Parallel()
	const md5Sample = "md50123456789abcdef0123456789abcdef"
	type want struct {
		kind     auth.Kind
		password string // for KindPlain
	}
	for _, c := range []struct {
		name, text string
		want       map[string]want
	}{
		{"userlist", "; a comment\r\n\n  \"al\"\"ice\" \"sec\"\"ret\" ignored\r\n\"bob\"\t\"" + verifierSample + "\"\n\"carol\" \"" + md5Sample + "\"\n\"dave\" \"\"\n\"eve\" \"TEXTual\"", map[string]want{
			`al"ice`: {auth.KindPlain, `sec"ret`}, "bob": {auth.KindSCRAM, ""}, "carol": {auth.KindMD5, ""}, "dave": {}, "eve": {auth.KindPlain, "TEXTual"}}},
		{"pool_passwd", "alice:" + md5Sample + "\n\n# comment\nbob:TEXTa:b c \ncarol:AESOApDmm2/arO4Fy5tQQcDwA==\r\ndave:bare\neve:" + verifierSample + "\nfred:\nx y:TEXT\n", map[string]want{
			"alice": {auth.KindMD5, ""}, "bob": {auth.KindPlain, "a:b c "}, "carol": {auth.KindPlain, "secretpw"}, "dave": {auth.KindPlain, "bare"},
			"eve": {auth.KindSCRAM, ""}, "fred": {}, "x y": {}}},
		{"a clear text that looks like a hash", "alice:TEXT" + md5Sample, map[string]want{"alice": {auth.KindPlain, md5Sample}}},
		{"nothing", " \n;\n", map[string]want{}},
	} {
		p, err := auth.ParsePasswd("f", strings.NewReader(c.text), []byte("mykey"))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if p.Len() != len(c.want) {
			t.Errorf("%s: %d users, want %d", c.name, p.Len(), len(c.want))
		}
		for user, w := range c.want {
			s, ok := p.Lookup(user)
			password, _ := s.Credentials().Password()
			if got := (want{s.Kind(), password}); !ok || got != w {
				t.Errorf("%s: user %s: got %v, %v, want %v", c.name, user, got, ok, w)
			}
		}
	}
	if _, ok := (*auth.Passwd)(nil).Lookup("u"); ok {
		t.Error("nil Passwd knows a user")
	}
}

// What pg_enc of Pgpool-II 4.3.5 wrote. The second key file's line ends with
// blanks and a carriage return, which pg_enc keeps; the third's is cut.
func TestPgpoolAES(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ keyFile, password, stored string }{
		{"mykey\n", "secretpw", "OApDmm2/arO4Fy5tQQcDwA=="},
		{"mykey", "x y", "hfolWsgosfWwmaVlnizgAg=="},
		{"my key  \r\nsecond\n", "a", "mNX1tjwDgrDcBY1AO4cTaw=="},
		{"my key  \r\nsecond\n", "123456789012345", "V0zM+7CnJx6ApJWpIiD8cQ=="},
		{"my key  \r\nsecond\n", "1234567890123456", "jR2LeUI2AoUmrUvBJRgtWaHtauFRKkBvCRYNwJJITdQ="},
		{"my key  \r\nsecond\n", "12345678901234567", "jR2LeUI2AoUmrUvBJRgtWWZc1VAMFMzWOA6bvG9gxnE="},
		{"my key  \r\nsecond\n", "päß wörd", "i/CN+i3L/6/SE5Fr4HEpmA=="},
		{"my key  \r\nsecond\n", "1234567890123456789012345678901", "jR2LeUI2AoUmrUvBJRgtWRO6pg2Ds5J+b0cvo6V86MQ="},
		{strings.Repeat("k", 300) + "\n", "abc", "rZMPwkkKFg78nyl91LQesQ=="},
	} {
		dir := t.TempDir()
		p, err := auth.LoadPasswdFile(write(t, dir, "pool_passwd", "u:AES"+c.stored+"\n", 0o600), write(t, dir, "key", c.keyFile, 0o600))
		if err != nil {
			t.Errorf("%s: %v", c.password, err)
			continue
		}
		s, _ := p.Lookup("u")
		if got, _ := s.Credentials().Password(); got != c.password {
			t.Errorf("got %q, want %q", got, c.password)
		}
	}
}

func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

func TestPasswdFaults(t *testing.T) {
	t.Parallel()
	const hidden = "s3cr3t"
	for _, c := range []struct {
		name, text, key string
		want            []string
	}{
		{"userlist", "\"a\" \"x\"\n\"a\" \"s3cr3t\"\nb s3cr3t\n\"c\" s3cr3t\n\"d\" \"s3cr3t\n\"\" \"s3cr3t\"\n\"e\" \"SCRAM-SHA-256$s3cr3t\"", "", []string{
			`f:2: user "a" is already on line 1; remove one of them`,
			`f:3: the user is not in double quotes; write "user" "secret", with quotes doubled inside`,
			`f:4: the secret is not in double quotes; write "user" "secret", with quotes doubled inside`,
			`f:5: the secret is not in double quotes; write "user" "secret", with quotes doubled inside`,
			`f:6: the user name is empty; write a name, or remove the line`,
			`f:7: user "e": malformed SCRAM-SHA-256 verifier: want SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`,
		}},
		{"pool_passwd", "s3cr3t\na:AESs3cr3t\nb:AESOApDmm2/arO4Fy5tQQcDwA==\n:TEXTs3cr3t\nc:TEXTs3cr3t\x00\n", "wrong key", []string{
			`f:1: no colon; write user:secret`,
			`f:2: user "a": the AES secret cannot be decrypted with the key of auth.key_file: encrypt it anew with pg_enc`,
			`f:3: user "b": the AES secret cannot be decrypted with the key of auth.key_file: encrypt it anew with pg_enc`,
			`f:4: the user name is empty; write a name, or remove the line`,
			`f:5: user "c": the password contains a zero byte`,
		}},
		{"no key", "a:AESOApDmm2/arO4Fy5tQQcDwA==", "", []string{
			`f:1: user "a": the AES secret needs a key: set auth.key_file to the .pgpoolkey file`}},
		{"long", "a:TEXT" + strings.Repeat(hidden, 1000), "", []string{`f:1: user "a": longer than 4096 bytes`}},
	} {
		_, err := auth.ParsePasswd("f", strings.NewReader(c.text), []byte(c.key))
		faults, _ := errors.AsType[auth.Faults](err)
		var got []string
		for _, f := range faults {
			got = append(got, f.String())
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		if err != nil && strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: the error shows a secret: %v", c.name, err)
		}
	}
}

func TestLoadPasswdFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := write(t, dir, "key", "k\n", 0o604)
	p, err := auth.LoadPasswdFile(write(t, dir, "open", "u:TEXTx", 0o644), key)
	if err != nil || len(p.Warnings()) != 2 {
		t.Errorf("got warnings %q, error %v, want one warning for each file", p.Warnings(), err)
	}
	p, err = auth.LoadPasswdFile(write(t, dir, "closed", "u:TEXTx", 0o640), "")
	if err != nil || len(p.Warnings()) != 0 {
		t.Errorf("got warnings %q, error %v, want none", p.Warnings(), err)
	}
	for _, paths := range [][2]string{{filepath.Join(dir, "none"), ""}, {key, filepath.Join(dir, "none")}, {key, write(t, dir, "empty", "\n", 0o600)}} {
		if _, err := auth.LoadPasswdFile(paths[0], paths[1]); err == nil {
			t.Errorf("%v: no error", paths)
		}
	}
}

func FuzzParsePasswd(f *testing.F) {
	f.Add([]byte("\"a\" \"b\"\n;x\n\"\"\"\" \"\"\"\"\""))
	f.Add([]byte("a:TEXTb\nc:AESOApDmm2/arO4Fy5tQQcDwA==\nd:" + verifierSample + "\ne:md50123456789abcdef0123456789abcdef"))
	f.Add([]byte(":\n\r\n#\n\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := auth.ParsePasswd("f", bytes.NewReader(text), []byte("mykey"))
		if (p == nil) == (err == nil) {
			t.Fatalf("got both or neither of %v and %v", p, err)
		}
		if p.Len() > 1+bytes.Count(text, []byte("\n")) {
			t.Error("more users than lines")
		}
	})
}
