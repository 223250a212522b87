package catalog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Querier runs one statement on a connection to the database and returns its
// rows as text, NULL as the empty text.
type Querier interface {
	Query(ctx context.Context, sql string) ([][]string, error)
}

// ErrTooLarge is a database of which there is more to know than Load may keep.
var ErrTooLarge = errors.New("catalog is larger than catalog.size")

// lockTimeout bounds, in milliseconds, how long a reading waits for a lock. To print a view the server locks the tables
// that it is over (pg_get_viewdef), which may deadlock with a DROP of several; were it to
// wait for longer than deadlock_timeout, it might be the client's DROP that fails.
const lockTimeout = "10"

// Load reads a database's facts, all as of one moment, in a transaction of its
// own that only reads: any role may, on the primary or a standby. If their
// fingerprint is known, nothing more is read and the answer is nil: nothing has changed.
// Of a database with more than maxBytes the answer has the fingerprint alone, with
// ErrTooLarge. It does not wait for locks: what somebody changes just now makes it fail with 55P03. After an error the connection is unfit for anything else.
func Load(ctx context.Context, q Querier, known string, maxBytes int64) (*Facts, error) {
	l := loader{ctx: ctx, q: q, room: maxBytes}
	l.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	l.run("SET LOCAL search_path = pg_catalog")
	l.run("SET LOCAL lock_timeout = " + lockTimeout)
	version := 0
	f := &Facts{}
	for _, row := range l.query(fingerprintSQL, 2) {
		version, f.Fingerprint = l.number(row[0]), row[0]+" "+row[1]
	}
	if l.err == nil && f.Fingerprint != known {
		l.functions(f, version)
		l.operators(f)
		l.casts(f)
		l.types(f)
		l.relations(f) // last, as it locks them
		f.Bytes = maxBytes - l.room
	}
	l.run("COMMIT")
	if l.err != nil {
		return &Facts{Fingerprint: f.Fingerprint}, fmt.Errorf("read catalog: %w", l.err)
	}
	if f.Fingerprint == known {
		return nil, nil
	}
	return f, nil
}

// loader runs the queries of one Load; after the first error it does nothing more.
type loader struct {
	ctx  context.Context
	q    Querier
	room int64
	err  error
}

func (l *loader) run(sql string) { l.query(sql, 0) }

// rowBytes is about what keeping a row takes beside its texts.
const rowBytes = 200

// query returns rows of so many columns.
func (l *loader) query(sql string, columns int) [][]string {
	if l.err != nil {
		return nil
	}
	rows, err := l.q.Query(l.ctx, sql)
	if err != nil {
		l.err = err
		return nil
	}
	for _, row := range rows {
		if len(row) != columns {
			l.err = fmt.Errorf("a row has %d columns instead of %d", len(row), columns)
			return nil
		}
		l.room -= rowBytes
		for _, text := range row {
			l.room -= int64(len(text))
		}
	}
	if l.room < 0 {
		l.err = ErrTooLarge
		return nil
	}
	return rows
}

func (l *loader) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("read number: %w", err)
	}
	return n
}

// letter reads a column of type "char".
func letter(text string) byte {
	if text == "" {
		return 0
	}
	return text[0]
}

func oids(text string) []OID {
	var list []OID
	for _, field := range strings.Fields(text) {
		list = append(list, OID(field))
	}
	return list
}

// firstOID is that of the first object that PostgreSQL is not born with
// (FirstNormalObjectId).
const firstOID = "16384"

// sum is a query for the number of a catalog's rows and a hash of their versions.
func sum(catalog, id, condition string) string {
	return "(SELECT count(*) || ':' || coalesce(sum(hashtext(" + id + "::text || '/' || xmin::text)), 0) FROM " + catalog + " WHERE " + condition + ")"
}

// fingerprintSQL reads no more than the rows that the facts come from, so that
// tables that come and go do not look like a change.
var fingerprintSQL = "SELECT current_setting('server_version_num'), concat_ws(' ', " + strings.Join([]string{
	sum("pg_proc", "oid", "oid >= "+firstOID),
	sum("pg_class", "oid", "oid >= "+firstOID+" AND "+interesting),
	sum("pg_inherits", "inhrelid", "inhrelid IN (SELECT oid FROM pg_class WHERE relkind = 'f' OR relpersistence = 'u' OR relhassubclass)"),
	sum("pg_rewrite", "oid", "oid >= "+firstOID+" AND ev_type = '1'"),
	sum("pg_policy", "oid", "true"),
	sum("pg_operator", "oid", "oid >= "+firstOID),
	sum("pg_cast", "oid", "oid >= "+firstOID),
	sum("pg_type", "oid", "oid >= "+firstOID+" AND (typtype = 'd' OR typinput >= "+firstOID+" OR oid IN (SELECT casttarget FROM pg_cast WHERE oid >= "+firstOID+"))"),
	sum("pg_constraint", "oid", "contypid <> 0"),
	sum("pg_namespace", "oid", "nspname !~ '^pg_(toast_)?temp_'"),
	sum("pg_extension", "oid", "true"),
}, ", ") + ")"

// interesting are the rows of pg_class that are facts by themselves.
const interesting = "(relkind IN ('v', 'S', 'f') OR relpersistence = 'u' AND relkind IN ('r', 'p', 'm') OR relrowsecurity) AND relpersistence <> 't'"

// ofUsers is a condition on the namespace n that leaves out what is PostgreSQL's
// own or belongs to one session.
const ofUsers = "n.nspname !~ '^pg_(toast|temp)' AND n.nspname <> 'information_schema'"

// maxBody bounds the bodies in PL/pgSQL that are read, in bytes.
const maxBody = 128 << 10

func (l *loader) functions(f *Facts, version int) {
	// Functions are worth more than their bodies: of too much source none is read.
	bodied := fmt.Sprintf(`l.lanname = 'sql' OR l.lanname = 'plpgsql' AND octet_length(p.prosrc) <= %d
		AND (SELECT sum(octet_length(x.prosrc)) FROM pg_proc x JOIN pg_language y ON y.oid = x.prolang WHERE y.lanname = 'plpgsql') < %d`, maxBody, l.room/4)
	body := "p.prosrc, 'f'"
	if version >= 140000 {
		body = "coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), p.prosqlbody IS NOT NULL"
	}
	rows := l.query(`SELECT p.oid, n.nspname, p.proname, p.prokind, l.lanname, p.provolatile, p.pronargs, p.pronargdefaults,
		p.provariadic <> 0, p.proargtypes, coalesce(t.typtype IN ('c', 'p', 'd'), false),
		coalesce((SELECT substr(c, 13) FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%'), ''), coalesce(e.extname, ''),
		b.body, b.parsed, coalesce(concat_ws(' ', VARIADIC ARRAY(SELECT x.part FROM unnest(ARRAY[a.aggtransfn::oid, a.aggfinalfn, a.aggcombinefn,
			a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]) x(part) WHERE x.part >= `+firstOID+`)::text[]), ''),
		m.temp, coalesce('SELECT ' || pg_get_expr(p.proargdefaults, 0), ''), has_schema_privilege('public', n.oid, 'USAGE')
		FROM pg_proc p
		JOIN pg_namespace n ON n.oid = p.pronamespace
		JOIN pg_language l ON l.oid = p.prolang
		LEFT JOIN pg_type t ON t.oid = p.proargtypes[0]
		LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
		LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
		LEFT JOIN pg_extension e ON e.oid = d.refobjid
		LEFT JOIN LATERAL (SELECT `+body+` WHERE `+bodied+`) b(body, parsed) ON true
		CROSS JOIN LATERAL (SELECT l.lanname NOT IN ('c', 'internal') AND p.prosrc ~* '\m(pg_)?temp(orary)?(_\d+)?\M') m(temp)
		WHERE (p.oid >= `+firstOID+` OR n.nspname <> 'pg_catalog') AND n.nspname !~ '^pg_(toast|temp)'
		AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)`, 19)
	for _, row := range rows {
		f.Functions = append(f.Functions, UserFunction{OID: OID(row[0]), Schema: row[1], Name: row[2], Kind: letter(row[3]), Language: row[4],
			Volatility: letter(row[5]), Args: l.number(row[6]), Defaults: l.number(row[7]), Variadic: row[8] == "t", ArgTypes: row[9],
			OfRow: row[10] == "t", SearchPath: row[11], Extension: row[12], Body: row[13], Qualified: row[14] == "t", Parts: oids(row[15]), MakesTemp: row[16] == "t",
			DefaultValues: row[17], ForAll: row[18] == "t"})
	}
}

func (l *loader) relations(f *Facts) {
	rows := l.query(`WITH RECURSIVE up(parent, child) AS (
			SELECT i.inhparent, i.inhrelid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'f' OR c.relpersistence = 'u'
			UNION SELECT i.inhparent, i.inhrelid FROM pg_inherits i JOIN up ON up.parent = i.inhrelid)
		SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence = 'u',
		CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END,
		CASE WHEN c.relrowsecurity THEN (SELECT 'SELECT (' || string_agg(pg_get_expr(p.polqual, p.polrelid), ') AND (') || ')'
			FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd IN ('*', 'r') AND p.polqual IS NOT NULL) END,
		(SELECT string_agg(up.child::text, ' ') FROM up WHERE up.parent = c.oid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE (`+interesting+` OR c.oid IN (SELECT up.parent FROM up)) AND n.nspname <> 'pg_catalog' AND `+ofUsers, 8)
	for _, row := range rows {
		f.Relations = append(f.Relations, Relation{OID: OID(row[0]), Schema: row[1], Name: row[2], Kind: letter(row[3]), Unlogged: row[4] == "t",
			Definition: row[5], Policies: row[6], Children: oids(row[7])})
	}
}

func (l *loader) operators(f *Facts) {
	rows := l.query(`SELECT n.nspname, o.oprname, o.oprcode::oid FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
		WHERE o.oid >= `+firstOID+` AND o.oprcode::oid >= `+firstOID, 3)
	for _, row := range rows {
		f.Operators = append(f.Operators, Operator{Schema: row[0], Name: row[1], Function: OID(row[2])})
	}
}

func (l *loader) casts(f *Facts) {
	rows := l.query(`SELECT n.nspname, t.typname, c.castfunc::oid, c.castcontext = 'i'
		FROM pg_cast c JOIN pg_type t ON t.oid = c.casttarget JOIN pg_namespace n ON n.oid = t.typnamespace
		WHERE c.oid >= `+firstOID+` AND c.castfunc >= `+firstOID, 4)
	for _, row := range rows {
		f.Casts = append(f.Casts, Cast{Schema: row[0], Name: row[1], Function: OID(row[2]), Implicit: row[3] == "t"})
	}
}

func (l *loader) types(f *Facts) {
	rows := l.query(`SELECT t.oid, n.nspname, t.typname,
		(SELECT 'SELECT (' || string_agg(pg_get_expr(c.conbin, 0), ') AND (') || ')' FROM pg_constraint c WHERE c.contypid = t.oid),
		t.typbasetype, concat_ws(' ', nullif(t.typinput::oid, 0), nullif(t.typreceive::oid, 0), nullif(t.typmodin::oid, 0))
		FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
		WHERE t.oid >= `+firstOID+` AND (t.typtype = 'd' OR t.typinput::oid >= `+firstOID+`) AND `+ofUsers, 6)
	for _, row := range rows {
		f.Types = append(f.Types, Type{OID: OID(row[0]), Schema: row[1], Name: row[2], Check: row[3], Base: OID(row[4]), Functions: oids(row[5])})
	}
}
