// Command corpus holds the parser's verdicts against what servers do: it
// labels statements by trying each on a primary and on a streaming standby, and
// reports where a verdict and a label disagree. With -howdah it does the same for a running
// howdah, which knows what the names in a database mean.
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
// change settings. So do statements that the psql session itself answers otherwise than the
// primary's trial session, by an error, by rows, or from other relations: they mean something
// that only it has, a temporary table or what its open transaction made.
//
// # Two opinions
//
// The first is that of the text alone, as `howdah explain` gives it without a configuration.
//
// The second is asked with -howdah FILE, howdah's binary: psql then talks to a howdah in front of
// the primary and the standby, and before the relay passes on a text that has a label it asks
// by EXPLAIN (HOWDAH), in psql's own session, in its transaction, with its settings, what howdah
// makes of it. If howdah is about to read the catalogs, it asks again. Read is what could go to a
// standby if the session were in no block that wrote and the standby had replayed
// enough. What the session's pins or lessons keep on the primary is no read.
//
// Equal statements of a session that has temporary objects are counted by themselves: the sessions
// of the trial have none, so what they answer says little of what such a statement means (psql's \d
// asks what is visible).
//
// # Use
//
//	go run ./integration/corpus [-howdah bin/howdah]  the scripts in testdata
//	go run ./integration/corpus -suite DIR [-out F]   PostgreSQL's own tests
//
// The results that were last looked at are in docs/ROUTING.md.
//
// DIR is PostgreSQL's unpacked source, of the servers' major version. Its
// regression tests run in the order of parallel_schedule, then those of contrib and of
// PL/pgSQL; -only is a regular expression of script names. Without a compiled
// regress.so in DIR/src/test/regress the few tests that need it fail, equally on
// both nodes. It takes some minutes, with -howdah a quarter of an hour.
//
// The labels go to -out, and -judge FILE holds the verdicts of today against them
// without running anything. One JSON object a line: {"sql": …, "label": "primary" |
// "equal"} and what is known besides. The report on standard output counts the wrong
// verdicts (primary by label, a read by verdict), then the share of the equal
// statements that the verdict calls reads, and groups both kinds of disagreement by the verdict's
// reason, the worst first.
package main
