// Package migrate turns the configuration of Pgpool-II into one of howdah: it reads
// pgpool.conf, and pool_hba.conf, pool_passwd and pcp.conf beside it, and writes YAML with a
// report of what became of every setting.
//
//	grammar.go    pgpool.conf's syntax: settings with their places
//	table.go      every parameter of Pgpool-II 4.3 to 4.7, and what becomes of it
//	take_*.go     what is taken over, by subject
//	hba.go        pool_hba.conf
//	output.go     the YAML
//	report.go     what was done with every key
//	import.go     all of it, in order
//
// The rules are pure: files come in through Files, a Result comes out.
package migrate
