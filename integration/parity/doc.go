// Package parity runs the same script twice, directly against the primary and
// through howdah, and compares every byte that came back.
//
// # Scripts
//
// A .sql file is a sequence of blocks parted by empty lines; each block is sent as
// one simple query, and its answer read to ReadyForQuery.
//
// A .proto file has one frontend message or order per line, in Go's string syntax:
//
//	Query "SELECT 1"                       Sync              Flush
//	Parse "s" "SELECT $1" [23,25]          Terminate
//	Bind "portal" "s" "text" NULL 0x00ff [formats=0,1] [results=1]
//	Describe S "s"      Close P "portal"   Execute "portal" 0
//	CopyData "1\t2\n"   CopyDone           CopyFail "why"
//	FunctionCall 1598 "arg" [formats=0] [result=1]
//	Raw 0x5800000004                       bytes as they are
//
//	Startup version=3.2 user=postgres …    opens the connection; without it one is
//	                                       opened as user postgres at the first use
//	wait                                   until every Sync, Query and FunctionCall is answered
//	await D 2                              until two more frames of that type came
//	settle 7                               until all is answered, where nobody can count the answers: by an
//	                                       empty statement of so many parameters as no other has
//	eof                                    until the server closes
//	cancel                                 sends a cancel request for the connection
//	direct "SQL"                           runs on the primary, past howdah
//	until "SELECT …"                       polls all nodes, past howdah, until one says true
//
// "Sync ignored" is a Sync that the server will not answer (in a COPY). A line may
// start with "b>" to use another connection than the first. Nothing is awaited
// unless the script says so: lines follow each other as a pipeline.
//
// Comments start with # or --. Five of them have a meaning; the first two are checked, after howdah's
// run, in the nodes' own logs of the statements they ran:
//
//	# standby: TEXT     a statement with TEXT ran on a standby, and none on the primary
//	# primary: TEXT     a statement with TEXT ran on the primary, and none on a standby
//	# own: SQLSTATE …   errors that howdah must say itself: file, line and routine are not compared
//	# mode: session     the answers must be the same in this pool.mode only
//	# needs: VARIABLE   the script runs only if this environment variable is set
//
// # What is not compared
//
// Process ids and secret keys (BackendKeyData, NotificationResponse), object ids
// that the server gave out during the script (they are numbered by first
// appearance), and the database's name, which differs in one letter.
package parity
