// Package auth decides who may connect and how howdah proves itself to servers.
//
//	client                     howdah                        server
//	  | startup packet           |                              |
//	  |              HBA.Check: a Rule, or FATAL 28000          |
//	  |              Passwd.Lookup / ParseSecret: a Secret      |
//	  | <---- Exchange.Start --- |                              |
//	  | ----- Exchange.Step ---> |                              |
//	  |              Exchange.Credentials                       |
//	  |                          | <------- 'R' --------------- |
//	  |                          | -------- Login.Step -------> |
//
// Everything here is a pure state machine over message payloads: the caller
// reads and writes the messages, bounds their length (MaxMessageSize) and the
// time they may take, and passes in randomness. The caller also sends
// AuthenticationOk: an Exchange only says when it may be sent, so that a login
// can first be tried on a server.
//
// The package does not open sockets and does not query servers for secrets or roles. It reads
// the files of TLS and says what a certificate must be; the handshake is the caller's,
// as is asking an LDAP server (NewPasswordExchange) or the kernel (CheckPeer).
//
// Secrets are sealed: neither fmt, slog nor encoding/json can print a Secret, a
// Credentials or an Exchange open, however deep it is nested.
package auth
