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
// The package does not open sockets, does not query servers for secrets, does
// not know TLS (so no channel binding and no certificates yet) and has no
// methods but trust, reject, password, md5 and scram-sha-256.
//
// Secrets are sealed: neither fmt, slog nor encoding/json can print a Secret, a
// Credentials or an Exchange open, however deep it is nested.
package auth
