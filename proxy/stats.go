package proxy

import (
	"strconv"
	"sync/atomic"
)

// cure is why a unit that a read node could not serve ran elsewhere.
type cure uint8

const (
	cureNone     cure = iota
	cureReadOnly      // 25006: it would have written
	cureFeature       // 0A000: not during recovery, unlogged and temporary tables
	cureState         // 55000 and its kin: recovery in progress, objects in use by replay
	cureConflict      // 40001, 40P01: conflict with recovery
	cureMissing       // objects and rights that were not there (yet)
	cureColumns       // a prepared statement would have had other columns
	cureServer        // the server went away, was full, or had trouble of its own
	cures
)

// cureNames are the counters' names.
var cureNames = [cures]string{
	cureReadOnly: "read_only", cureFeature: "not_on_standby", cureState: "recovery_state",
	cureConflict: "recovery_conflict", cureMissing: "missing_object", cureColumns: "changed_columns", cureServer: "server_trouble",
}

// cureOf tells why by the SQLSTATE and the routine that reported it.
func cureOf(code, routine string) cure {
	switch code {
	case "25006":
		return cureReadOnly
	case "0A000":
		// "cached plan must not change result type" protects the client, which knows the old type.
		if routine == "RevalidateCachedQuery" {
			return cureNone
		}
		return cureFeature
	case "55000", "55006", "55P03":
		return cureState
	case "40001", "40P01":
		return cureConflict
	case "42P01", "42703", "42883", "42704", "42501", "3F000":
		return cureMissing
	case "57P01", "57P02", "57P03", "57P04", "57P05", "53300", // the server goes away, is full, or has lost the database
		"58P01", "58P02", "58030", "XX000", "XX001", "XX002", "53100", "53200": // its own trouble
		return cureServer
	}
	return cureNone
}

// teaches is whether the error says that the statement can run on no standby.
func (c cure) teaches(code string) bool {
	return c == cureReadOnly || c == cureFeature || code == "55000"
}

// metrics are the server's counters.
type metrics struct {
	healed [cures]atomic.Uint64
}

// stats are the rows of SHOW howdah.stats.
func (srv *Server) stats() [][2]string {
	p := srv.parser.Stats()
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	rows := [][2]string{
		{"parser_exact_hits", number(p.ExactHits)},
		{"parser_skeleton_hits", number(p.SkeletonHits)},
		{"parser_misses", number(p.Misses)},
		{"parser_uncached", number(p.Uncached)},
		{"parser_evictions", number(p.Evictions)},
		{"parser_cache_bytes", strconv.FormatInt(p.Bytes, 10)},
		{"parser_seconds", strconv.FormatFloat(p.ParseTime.Seconds(), 'f', 6, 64)},
	}
	for c := cureNone + 1; c < cures; c++ {
		rows = append(rows, [2]string{"healed_" + cureNames[c], number(srv.metrics.healed[c].Load())})
	}
	rows = append(rows, [2]string{"fast_reads", number(srv.traffic.fastReads())})
	return append(rows, [2]string{"lessons", strconv.FormatInt(srv.lessons.count.Load(), 10)})
}
