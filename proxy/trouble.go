package proxy

import (
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser/catalog"
)

// trouble is what an error of a reading means.
type trouble uint8

const (
	// passing: the server goes away, starts up, or is full.
	passing trouble = iota
	// overtaken: something was dropped while its definition was read.
	overtaken
	// locked: something is being changed whose definition was to be read.
	locked
	// lasting: a server that refuses will go on refusing.
	lasting
	// gone: there is no such database any more.
	gone
	// tooLarge: there is more than catalog.size.
	tooLarge
)

func troubleOf(err error) trouble {
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, catalog.ErrTooLarge), errors.Is(err, cluster.ErrAnswerTooLarge):
		return tooLarge
	case !errors.As(err, &refused):
		return passing
	case refused.Code == "3D000":
		return gone
	case refused.Code == "55P03", refused.Code == "40P01":
		return locked
	case strings.HasPrefix(refused.Code, "57"), strings.HasPrefix(refused.Code, "53"):
		return passing
	case strings.HasPrefix(refused.Code, "XX"), strings.HasPrefix(refused.Code, "42") && refused.Code != "42501":
		// "could not open relation with OID …", "cache lookup failed for …"
		return overtaken
	}
	return lasting
}

const (
	// maxOvertaken is how often in a row a reading may be overtaken before it counts as refused, or meet a lock
	// before it is left for a while.
	maxOvertaken = 10
	// retryOvertaken is the pause after such a reading.
	retryOvertaken = 20 * time.Millisecond
)

// failed decides what a reading in vain means. If the server refuses,
// statements are judged by their text and built-in names alone, as without a catalog.
// Anything else is tried again soon.
func (d *database) failed(err error, facts *catalog.Facts, changed uint64, set *settings) time.Duration {
	what := troubleOf(err)
	if (what == overtaken || what == locked) && d.overtaken < maxOvertaken {
		d.overtaken++
		return retryOvertaken
	}
	defer func() { // who waits goes on, with what is known by then
		d.mu.Lock()
		d.current.Load().release()
		d.mu.Unlock()
	}()
	if what == passing || what == locked { // by then for long, as by an open transaction
		return retryLoad
	}
	if !d.complained && what != gone {
		d.complained = true
		hint := "replication_check.user must be able to connect to the database and to read its catalogs"
		if what == tooLarge {
			hint = "raise catalog.size"
		}
		d.catalogs.srv.log.Warn("the database's own functions are taken for writers: its catalogs cannot be read",
			"database", d.name, "error", err, "hint", hint)
	}
	if d.last != nil && what != tooLarge && what != gone {
		return retryLoad // it could be read before
	}
	d.last, d.fingerprint = nil, ""
	if what == tooLarge && facts != nil {
		d.fingerprint = facts.Fingerprint // not to be read again and again
		d.judgedBy, d.readForeign, d.size = set.rules, set.readForeign(), set.catalog.Size
	}
	d.settle(changed, &knowing{rules: set.rules})
	return set.catalog.TTL
}
