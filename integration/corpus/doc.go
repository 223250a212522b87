// Command corpus holds the parser's verdicts against what servers do: it
// labels statements by trying each on a primary and on a streaming standby, and
// reports where a verdict and a label disagree.
//
// # Labels
//
// psql runs a script of statements against the primary through a relay
// (relay.go). Before the relay passes a statement on it waits until the standby
// has replayed all that was committed, and tries the statement outside any
// transaction in two more sessions, which have the same settings: one on the
// standby, one on the primary, there twice (trial.go).
//
//   - primary: the standby refuses it (SQLSTATE 25006, 0A000 and 55000 for
//     recovery), or answers otherwise than the primary. Functions that act on a
//     node or a session, such as advisory locks, are named in effects.go: they need
//     the primary though a standby seems to answer them equally.
//   - equal: both give the same answer, the same error included. Rows are
//     compared as a sequence if the statement says ORDER BY, else as a multiset. If
//     the primary's two answers differ already (random(), clock_timestamp()),
//     only their shape counts, and the label is marked unstable.
//
// Statements that only work on the session (SET, PREPARE, cursors, transaction
// control) get no label; they are repeated in the other sessions where they
// change settings. So do statements that the psql session itself answers with an error
// and the others do not, or the other way: they mean something that only it has, a
// temporary table or what its open transaction made.
//
// # Use
//
//	go run ./integration/corpus                       the scripts in testdata
//	go run ./integration/corpus -suite DIR [-out F]   PostgreSQL's own tests
//
// DIR is PostgreSQL's unpacked source, of the servers' major version. Its
// regression tests run in the order of parallel_schedule, then those of contrib and of
// PL/pgSQL; -only is a regular expression of script names. Without a compiled
// regress.so in DIR/src/test/regress the few tests that need it fail, equally on
// both nodes. Half an hour is normal.
//
// The labels go to -out, and -judge FILE holds the verdicts of today against them
// without running anything. One JSON object a line: {"sql": …, "label": "primary" |
// "equal"} and what is known besides. The report on standard output counts the wrong
// verdicts (primary by label, a read by verdict), then the share of the equal
// statements that the verdict calls reads, and groups both kinds of disagreement by the verdict's
// reason, the worst first.
package main
