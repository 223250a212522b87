// Command bench measures howdah side by side with the ways people put
// something between PostgreSQL and its clients today: no proxy, PgBouncer
// (session mode), HAProxy (tcp mode) and Pgpool-II.
//
// All contenders run at once in front of the same servers, and take turns at
// the load (A B C, B C A …): what else the machine is doing then falls on all
// alike. Each round has processes of its own. Shared machines make absolute numbers worthless, so every number is
// also given as a ratio to PgBouncer's, taken within one round, and the main
// measure is the CPU time which the proxy's own processes spend on a
// transaction, read from the kernel's scheduler (/proc/PID/task/TID/schedstat,
// nanoseconds).
//
// It is not a test: it judges nothing and has no part in `make test`. It makes
// its own servers and configuration files in a temporary directory, uses free
// ports on 127.0.0.1, and ends every process that it started. Of the machine it changes kernel.sched_autogroup_enabled, and
// puts it back.
package main
