package admin

import (
	"errors"
	"slices"
	"time"
)

// SetUsers replaces the users of the PCP port and of HTTP; nil is none.
func (a *Admin) SetUsers(u *Users) { a.users.Store(u) }

// ErrLogin is a login that failed. It does not tell an unknown user from a wrong password.
var ErrLogin = errors.New("authentication failed")

// ErrTooMany is a login that was not looked at.
var ErrTooMany = errors.New("too many failed logins from this host; wait half a minute")

// LoginPCP checks the answer to a PCP salt.
func (a *Admin) LoginPCP(host, user, response string, salt [4]byte) (Caller, error) {
	return a.login("pcp", host, user, func(u *Users) bool { return u.Challenge(user, response, salt) })
}

// LoginPassword checks a password.
func (a *Admin) LoginPassword(door, host, user, password string) (Caller, error) {
	return a.login(door, host, user, func(u *Users) bool { return u.Password(user, password) })
}

func (a *Admin) login(door, host, user string, good func(*Users) bool) (Caller, error) {
	now := time.Now()
	if !a.tries.allowed(host, now) {
		return Caller{}, ErrTooMany
	}
	u := a.users.Load()
	ok := u != nil && good(u)
	a.tries.tried(host, ok, now)
	if !ok {
		a.Log.Warn("operator's login failed", "door", door, "user", user, "host", host)
		return Caller{}, ErrLogin
	}
	by := Caller{Door: door, User: user, Role: RoleAdmin}
	if slices.Contains(a.State.Config().Admin.Readers, user) {
		by.Role = RoleReader
	}
	return by, nil
}
