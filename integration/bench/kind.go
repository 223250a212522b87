package main

import "slices"

// kind is what a load is to show.
type kind string

const (
	// kindSession: each client has a server connection of its own (session pooling).
	kindSession kind = "session"
	// kindShared: all clients share poolSize server connections (transaction pooling).
	kindShared kind = "transaction"
	// kindTLS is kindSession with TLS to the clients and to the servers.
	kindTLS kind = "tls"
	// kindStorm: each transaction is a login of its own (pgbench -C).
	kindStorm kind = "storm"
	// kindRows and kindCopy: one large answer after the other, as rows of a SELECT and by COPY TO STDOUT.
	kindRows kind = "rows"
	kindCopy kind = "copy"
	// kindWrites: transactions that change two tables (pgbench -N), under transaction pooling.
	kindWrites kind = "writes"
)

// kinds are all of them, in the order of the report.
var kinds = []kind{kindSession, kindShared, kindTLS, kindStorm, kindRows, kindCopy, kindWrites}

// poolSize is how many server connections all clients share if the kind shares.
const poolSize = 20

// fieldOf keeps the contenders that can do it.
func (k kind) fieldOf(chosen []contender) []contender {
	var able []string
	switch k {
	case kindSession:
		return chosen
	case kindShared: // Pgpool-II pools sessions only, HAProxy nothing
		able = []string{"howdah", "howdah3", base}
	case kindWrites: // which go to the primary, and need the same pooling
		able = []string{"direct", "howdah", base}
	case kindTLS: // HAProxy passes on what client and server encrypt
		able = []string{"direct", "howdah", base, "pgpool"}
	case kindStorm:
		able = []string{"direct", "howdah", base, "haproxy", "pgpool"}
	default:
		able = []string{"direct", "howdah", base, "haproxy", "pgpool"}
	}
	var field []contender
	for _, c := range chosen {
		if slices.Contains(able, c.name) {
			if c.name == base && k.shares() {
				c.about = "transaction mode"
			}
			field = append(field, c)
		}
	}
	return field
}

// streams is whether it is measured in bytes.
func (k kind) streams() bool { return k == kindRows || k == kindCopy }

// shares is whether it is measured under transaction pooling.
func (k kind) shares() bool { return k == kindShared || k == kindWrites }

// title says what a load is, for the report.
func (l load) title() string {
	switch l.kind {
	case kindShared:
		return "transaction pooling on " + number(poolSize, 0) + " server connections, " + l.mode + " protocol, " + number(float64(l.clients), 0) + " clients"
	case kindWrites:
		return "transactions that write (pgbench -N), " + l.mode + " protocol, " + number(float64(l.clients), 0) + " clients"
	case kindTLS:
		return "TLS on both sides, " + l.mode + " protocol, " + number(float64(l.clients), 0) + " clients"
	case kindStorm:
		return "a login for each transaction (pgbench -C), " + number(float64(l.clients), 0) + " clients"
	case kindRows:
		return "large results, " + number(float64(l.clients), 0) + " clients"
	case kindCopy:
		return "COPY TO STDOUT, " + number(float64(l.clients), 0) + " clients"
	}
	return l.mode + " protocol, " + number(float64(l.clients), 0) + " clients"
}
