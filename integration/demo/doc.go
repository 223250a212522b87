// Command demo shows howdah at work: it makes a PostgreSQL primary and two
// streaming standbys in a temporary directory, starts howdah in front of them,
// fills a pgbench database through it, and shows by the servers' own statistics
// that writes landed on the primary and reads on the standbys. Then it waits, for
// the reader to try, and removes everything on Ctrl-C.
package main
