// Command failoverbench kills the primary again and again under writers, and prints for how long they paused: through
// howdah, through howdah with the fast profile of docs/FAILOVER.md, and through Pgpool-II with a failover_command that
// promotes by SQL. After each kill the old primary is rewound and comes back as a standby, before the next is killed.
//
//	go run ./integration/failoverbench -kills 50
//
// The pause is the longest time between two acknowledged writes of any client around the kill. Writers connect anew if
// they are disconnected; how often that was is counted too.
package main
