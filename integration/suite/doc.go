// Command suite runs PostgreSQL's own regression tests and isolation tests through howdah, and
// holds what they print against what they print when they talk to the primary directly.
//
// The servers are a primary and two standbys, all synchronous with remote_apply, so that a read sees
// what was committed on whatever node it runs, and every difference is howdah's. The primary's weight is 0:
// all reads that may are served by standbys.
//
//	go run ./integration/suite -howdah bin/howdah                   both suites, session pooling
//	go run ./integration/suite -howdah bin/howdah -mode transaction   the same, connections shared
//	go run ./integration/suite -howdah bin/howdah -fast               as operators run it: plain reads are sent before they are planned
//	go run ./integration/suite -howdah bin/howdah -suite regress -out DIR
//
// Without -fast howdah logs each decision, and what was decided about SELECTs is counted; for that each must be taken.
//
// PostgreSQL's source of the servers' version is wanted for the scripts (-source, or fetched from
// Debian's archive into the user's cache directory), and Debian's postgresql-server-dev for pg_regress and
// the isolation tester; scripts/deps.sh suite installs it.
//
// In transaction mode those isolation tests are played in which no session waits for another's lock: the tester asks the server
// which of its sessions wait, by the process ids of their logins, and sessions that share connections have none of their own there.
//
// A test differs if its output does, byte by byte. What is known to differ, and why, is in
// testdata/differences.txt; a difference that is not there, and a line there that is not true any more, fail the run.
package main
