// Package integration tests the built howdah against real PostgreSQL servers with
// real clients: a file per subject. Its helpers are the packages beside it:
// pgcluster makes servers, howdahtest runs the binary, parity compares it with a
// server message by message.
//
// HOWDAH_DIRECT=1 points the clients at the primary itself, which tests the tests:
// what fails then is not howdah's fault. HOWDAH_RACE=0 leaves the race detector
// out of the binary.
package integration
