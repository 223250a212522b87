package proxy

import (
	"net/netip"
	"testing"

	"github.com/howdah/howdah/auth"
)

func TestClearTextAllowed(t *testing.T) {
	far, near := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::1")
	for _, row := range []struct {
		method  auth.Method
		info    auth.ConnInfo
		setting string
		want    bool
	}{
		{auth.MethodPassword, auth.ConnInfo{Addr: far}, "tls", false},
		{auth.MethodLDAP, auth.ConnInfo{Addr: far}, "tls", false},
		{auth.MethodPassword, auth.ConnInfo{Addr: far}, "any", true},
		{auth.MethodPassword, auth.ConnInfo{Addr: far, TLS: true}, "tls", true},
		{auth.MethodLDAP, auth.ConnInfo{Local: true}, "tls", true},
		{auth.MethodPassword, auth.ConnInfo{Addr: near}, "tls", true},
		{auth.MethodSCRAM, auth.ConnInfo{Addr: far}, "tls", true},
		{auth.MethodMD5, auth.ConnInfo{Addr: far}, "tls", true},
	} {
		set := &settings{}
		set.auth.ClearText = row.setting
		if got := clearTextAllowed(row.method, row.info, set) == nil; got != row.want {
			t.Errorf("%s, %+v, %s: allowed %v", row.method, row.info, row.setting, got)
		}
	}
}
