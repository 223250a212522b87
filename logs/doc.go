// Package logs makes howdah's logger: where lines go, in what form, and what happens to
// lines that repeat.
//
//	logs.go      from the configuration to a logger
//	repeats.go   lines that say the same again and again are counted instead
//	later.go     what all lines of a client have is formatted when it has one
//	queue.go     a line never waits for a slow reader
//	syslog.go    lines for syslog, by their level
package logs
