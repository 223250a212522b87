// Package pcp speaks Pgpool-II's PCP protocol, so that its pcp_* programs and its extension
// pgpool_adm work with howdah as they are.
//
//	client                          howdah
//	  | M                             |
//	  |                        m salt |
//	  | R user, digest                |
//	  |          r AuthenticationOK   |   or E, and the connection ends
//	  | a command (command.go)        |
//	  |                     its reply |   or E; more commands may follow
//	  | X                             |
//
// A message is a letter, four bytes of length (which count themselves, not the letter; big-endian), and
// a payload of texts that end with a zero byte each. There is no version in the protocol: the dialect
// is that of admin.pgpool_version. The protocol knows no TLS.
package pcp
