package parity

var (
	statementNames  = []string{"", "", "a", "b"}
	portalNames     = []string{"", "", "p"}
	parameterValues = []Arg{quoted("1"), quoted("2"), quoted("7"), quoted("0"), {Null: true}, quoted("x")}
)

// extended is a text for Parse and how many parameters it takes.
type extended struct {
	text       string
	parameters int
}

var extendedTexts = []extended{
	{"SELECT v FROM t WHERE id = $1", 1},
	{"SELECT id, v FROM t ORDER BY id", 0},
	{"SELECT $1::int + 1", 1},
	{"SELECT 10 / $1::int", 1},
	{"SELECT count(*) FROM copied", 0},
	{"INSERT INTO copied VALUES ($1, 'bound') RETURNING a", 1},
	{"UPDATE t SET v = v || '!' WHERE id = $1", 1},
	{"SELECT writes($1)", 1},
	{"SELECT shouts('hey')", 0},
	{"SELECT nextval('counter')", 0},
	{"SELECT 1 FROM nowhere", 0},
	{"SELECT id FROM t WHERE id < 4 ORDER BY id FOR UPDATE", 0},
	{"SELEC 1", 0},
	{"", 0},
	{"BEGIN", 0},
	{"COMMIT", 0},
	{"ROLLBACK", 0},
	{"SAVEPOINT s1", 0},
	{"ROLLBACK TO s1", 0},
	{"SET extra_float_digits = 0", 0},
	{"SELECT current_setting('search_path'), 1.1::float4", 0},
	{"VALUES (1, 'a'), (2, 'b'), (3, NULL)", 0},
	{"COPY (SELECT id FROM t ORDER BY id LIMIT 3) TO STDOUT", 0},
	{"SELECT generate_series(1, 5)", 0},
	{"SET LOCAL datestyle = 'German, DMY'", 0},
	{"SELECT set_config('datestyle', $1, true)", 1},
	{"SELECT set_config('work_mem', '7MB', $1::bool)", 1},
	{"SHOW work_mem", 0},
	{"SHOW datestyle", 0},
	{"RESET ALL", 0},
	{"SHOW transaction_isolation", 0},
	{"SHOW transaction_read_only", 0},
	{"RELEASE s1", 0},
	{"START TRANSACTION READ ONLY", 0},
	{"COMMIT AND CHAIN", 0},
	{"ROLLBACK AND CHAIN", 0},
	{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", 0},
	{"DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id", 0},
	{"DECLARE h CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY id", 0},
	{"FETCH 2 FROM c", 0},
	{"FETCH 1 FROM h", 0},
	{"CLOSE h", 0},
	{"PREPARE q (int) AS SELECT v FROM t WHERE id = $1", 0},
	{"EXECUTE q(4)", 0},
	{"EXECUTE a(1)", 0},
	{"DEALLOCATE ALL", 0},
	{"DEALLOCATE b", 0},
	{"DISCARD ALL", 0},
	{"LISTEN l", 0},
	{"NOTIFY l, 'bound'", 0},
	{"SELECT pg_notify('l', 'asked')", 0},
	{"CREATE TEMP TABLE tmp (a int) ON COMMIT DELETE ROWS", 0},
	{"INSERT INTO tmp VALUES ($1)", 1},
	{"SELECT count(*) FROM tmp", 0},
	{"CREATE OR REPLACE FUNCTION reads(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ''other '' || v FROM t WHERE id = $1'", 0},
	{"SELECT reads($1)", 1},
	{"SELECT * FROM t WHERE id = $1", 1},
	{"VACUUM copied", 0},
	{"CALL commits($1)", 1},
	{"DO $$ BEGIN RAISE NOTICE 'done'; END $$", 0},
	{"LOCK TABLE copied", 0},
	{"EXPLAIN (COSTS OFF) SELECT v FROM t WHERE id = $1", 1},
	{"SELECT 1; SELECT 2", 0},
	{"-- nothing", 0},
	{"SELECT name, is_holdable FROM pg_cursors ORDER BY 1", 0},
}

// blockTexts are for the inside of a transaction block.
var blockTexts = []string{
	"SELECT v FROM t WHERE id = 1", "SELECT id, v FROM t ORDER BY id LIMIT 3", "SELECT count(*) FROM copied", "SELECT v FROM t WHERE id = 3", "SHOW transaction_read_only",
	"SHOW transaction_isolation", "INSERT INTO copied VALUES (30, 'block')", "UPDATE t SET v = 'b' WHERE id = 3", "SAVEPOINT s1", "SAVEPOINT s1", "SAVEPOINT s2",
	"ROLLBACK TO s1", "ROLLBACK TO s1", "ROLLBACK TO s2", "RELEASE s1", "RELEASE SAVEPOINT s2", "SET LOCAL datestyle = 'German, DMY'", "SET datestyle = 'Postgres, MDY'", "SHOW datestyle",
	"SELECT set_config('datestyle', 'SQL, DMY', true)", "SET TRANSACTION READ ONLY", "SET TRANSACTION READ WRITE", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
	"DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id", "DECLARE h CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY id", "FETCH 2 FROM c", "FETCH 2 FROM h", "CLOSE c", "MOVE 1 IN c",
	"SELECT 1/0", "SELECT * FROM nowhere", "SELECT nextval('counter')", "CREATE TEMP TABLE tmp (a int) ON COMMIT DROP", "INSERT INTO tmp VALUES (2)", "SELECT count(*) FROM tmp",
	"SELECT v FROM t WHERE id = 5 FOR UPDATE", "PREPARE q (int) AS SELECT v FROM t WHERE id = $1", "EXECUTE q(2)", "DEALLOCATE q", "NOTIFY l, 'block'", "LISTEN l", "UNLISTEN l",
	"SET LOCAL ROLE reader", "SET ROLE reader", "RESET ROLE", "SELECT current_user", "SELECT writes(31)", "SELECT shouts('in a block')", "SELECT 1; SELECT 2", "", "BEGIN", "LOCK TABLE copied",
	"SET LOCAL search_path = other", "SELECT * FROM t ORDER BY id LIMIT 1", "SET CONSTRAINTS ALL DEFERRED", "INSERT INTO constrained VALUES (1, 1, 'sad', 99)", "DELETE FROM constrained", "VACUUM copied",
	"DEALLOCATE ALL", "DISCARD PLANS", "PREPARE TRANSACTION 'never'", "SELECT name, is_holdable FROM pg_cursors ORDER BY 1",
}

// otherTexts are for the second connection. None of them waits for what the first one only reads: on a standby that
// would be different from on the primary.
var otherTexts = []string{
	"SELECT 1", "SELECT v FROM t WHERE id = 2", "SET datestyle = 'SQL, DMY'", "SHOW datestyle", "RESET datestyle", "SET search_path = other, public", "SELECT * FROM t ORDER BY id LIMIT 1", "RESET search_path",
	"INSERT INTO copied VALUES (40, 'other')", "DELETE FROM copied WHERE a = 40", "SET ROLE reader", "RESET ROLE", "SELECT current_user", "CREATE TEMP TABLE tmp (b text)", "SELECT count(*) FROM tmp", "DROP TABLE tmp",
	"PREPARE q (int) AS SELECT -$1", "EXECUTE q(1)", "DEALLOCATE q", "LISTEN l", "UNLISTEN *", "DISCARD ALL", "BEGIN", "COMMIT", "ROLLBACK", "SELECT count(*) FROM kinds", "SELECT 1/0", "SAVEPOINT s1",
	"CREATE OR REPLACE FUNCTION reads(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ''b '' || v FROM t WHERE id = $1'", "SELECT reads(1)", "SET extra_float_digits = -2", "SELECT 1.1::float4 / 3",
	"DECLARE h CURSOR WITH HOLD FOR SELECT id FROM kinds, t ORDER BY id", "FETCH 1 FROM h", "CLOSE ALL",
}

// plainTexts only read, the last ones with errors.
var plainTexts = []string{
	"SELECT v FROM t WHERE id = 1", "SELECT v FROM t WHERE id = 2", "SELECT id, v FROM t ORDER BY id", "SELECT count(*) FROM copied", "SELECT 1",
	"SELECT current_user", "SELECT generate_series(1, 3000)", "SELECT 1 FROM t WHERE false", "SELECT", "SELECT 1/0", "SELECT * FROM nowhere",
}

var simpleTexts = []string{
	"SELECT 1", "SELECT v FROM t WHERE id = 3", "SELECT id, v FROM t ORDER BY id", "SELECT count(*) FROM copied", "",
	";", "SELECT 1; SELECT 2", "SELECT 1; INSERT INTO copied VALUES (9, 'multi'); SELECT count(*) FROM copied",
	"INSERT INTO copied VALUES (10, 'plain')", "DELETE FROM copied WHERE a > 5", "UPDATE t SET v = 'u' WHERE id = 2",
	"BEGIN", "BEGIN", "BEGIN", "COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ",
	"START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "END",
	"SAVEPOINT s1", "SAVEPOINT s2", "ROLLBACK TO s1", "ROLLBACK TO SAVEPOINT s2", "RELEASE s1",
	"SELECT 1/0", "SELECT * FROM nowhere", "SELEC", "SELECT 'unterminated", "INSERT INTO t VALUES (1, 'duplicate')",
	"SET search_path = other, public", "RESET search_path", "SELECT * FROM t ORDER BY id LIMIT 2", "SHOW search_path",
	"SET LOCAL datestyle = 'German, DMY'", "SET datestyle = 'SQL, DMY'", "SELECT date '2024-02-01'", "RESET ALL", "SHOW datestyle",
	"SELECT set_config('datestyle', 'ISO, MDY', true)", "SELECT set_config('work_mem', '5MB', false)", "SHOW work_mem",
	"SET TRANSACTION READ ONLY", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
	"PREPARE q (int) AS SELECT v FROM t WHERE id = $1", "EXECUTE q(4)", "DEALLOCATE q", "DEALLOCATE ALL", "EXECUTE a(1)", "DEALLOCATE a",
	"DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id", "FETCH 2 FROM c", "MOVE 1 IN c", "CLOSE c", "FETCH ALL FROM c",
	"DECLARE h CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY id", "FETCH 1 FROM h", "CLOSE ALL",
	"CREATE TEMP TABLE tmp (a int)", "INSERT INTO tmp VALUES (1)", "SELECT count(*) FROM tmp", "DROP TABLE tmp", "DISCARD TEMP",
	"CREATE TEMP TABLE t (id int, v text)", "DROP TABLE pg_temp.t",
	"SELECT shouts('loud')", "SELECT writes(5)", "SELECT reads(1)", "SELECT lies(3)", "SELECT nextval('counter')", "SELECT currval('counter')",
	"SELECT pg_advisory_xact_lock(1)", "SELECT v FROM t WHERE id = 1 FOR SHARE", "LOCK TABLE copied",
	"COPY (SELECT id, v FROM t ORDER BY id) TO STDOUT", "COPY t TO STDOUT (FORMAT csv, HEADER)", "EXPLAIN (COSTS OFF) SELECT 1",
	"WITH x AS (INSERT INTO copied VALUES (11, 'cte') RETURNING a) SELECT * FROM x", "SELECT * FROM v ORDER BY id",
	"CREATE TABLE made (a int)", "DROP TABLE IF EXISTS made", "SELECT * FROM made", "TRUNCATE copied", "CALL commits(20)",
	"SELECT txid_current() IS NOT NULL", "LISTEN l", "UNLISTEN *", "DISCARD ALL", "SET ROLE reader", "RESET ROLE", "SELECT * FROM secret",
	"SELECT * FROM owned ORDER BY id", "SELECT current_user", "SET bytea_output = 'escape'", "SELECT '\\xff'::bytea",
	"SET client_encoding = 'LATIN1'", "SELECT 'é'", "RESET client_encoding",
	"NOTIFY l, 'plain'", "SELECT pg_notify('l', 'function')", "NOTIFY l", "UNLISTEN l", "SELECT lastval()", "SELECT setval('counter', 70)",
	"SHOW transaction_isolation", "SHOW transaction_read_only", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET TRANSACTION READ WRITE", "SET default_transaction_read_only = on",
	"RESET default_transaction_read_only", "SET default_transaction_isolation = 'serializable'", "SET SESSION AUTHORIZATION reader", "RESET SESSION AUTHORIZATION", "SET LOCAL ROLE reader",
	"SELECT pg_advisory_lock(5)", "SELECT pg_advisory_unlock(5)", "SELECT pg_try_advisory_xact_lock(1)", "SELECT name, is_holdable FROM pg_cursors ORDER BY 1",
	"CREATE OR REPLACE FUNCTION reads(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ''new '' || v FROM t WHERE id = $1'", "DROP FUNCTION IF EXISTS pure(int)", "SELECT pure(4)",
	"CREATE OR REPLACE FUNCTION pure(int) RETURNS int LANGUAGE sql AS 'INSERT INTO copied VALUES ($1, ''impure'') RETURNING a'", "CREATE OR REPLACE VIEW v AS SELECT id, 'changed'::text AS v FROM t WHERE id = 2",
	"ALTER TABLE t ADD COLUMN extra int DEFAULT 5", "ALTER TABLE t DROP COLUMN IF EXISTS extra", "ALTER TABLE t RENAME v TO w", "ALTER TABLE t RENAME w TO v", "SELECT * FROM t WHERE id = 1", "EXECUTE b", "DEALLOCATE b",
	"INSERT INTO triggered VALUES (7)", "INSERT INTO constrained VALUES (2, -1)", "INSERT INTO constrained (id, m) VALUES (3, 'angry')", "SELECT * FROM volatile_table", "SELECT m FROM constrained",
	"DO $$ BEGIN RAISE WARNING 'careful'; END $$", "DO $$ BEGIN COMMIT; END $$", "DO $$ BEGIN PERFORM 1/0; END $$", "DO $$ BEGIN SET LOCAL work_mem = '9MB'; END $$", "VACUUM copied", "ANALYZE copied", "REINDEX TABLE t",
	"CHECKPOINT", "PREPARE TRANSACTION 'never'", "ROLLBACK PREPARED 'nothing'", "SET CONSTRAINTS ALL IMMEDIATE", "DISCARD PLANS", "DISCARD SEQUENCES", "SHOW server_version_num", "SET nonsense.setting = 'x'", "SHOW nonsense.setting",
	"SET nonsense = 1", "SET standard_conforming_strings = off", "SELECT 'a\\'", "RESET standard_conforming_strings", "SET statement_timeout = '20s'", "SHOW statement_timeout", "SELECT /* comment */ 1 -- end",
	"BEGIN; SELECT 1; COMMIT", "BEGIN; INSERT INTO copied VALUES (50, 'in one'); SELECT 1/0; COMMIT", "SELECT 1; COMMIT; SELECT 2", "SAVEPOINT s1; SELECT 1/0", "ROLLBACK TO s1; SELECT v FROM t WHERE id = 2",
	"COMMIT; BEGIN", "ROLLBACK; BEGIN; INSERT INTO copied VALUES (51, 'again')", "BEGIN; BEGIN", "COMMIT; COMMIT", "FETCH BACKWARD ALL FROM h", "DECLARE h SCROLL CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY id",
	"DECLARE u CURSOR FOR SELECT id FROM t FOR UPDATE", "FETCH 1 FROM u", "UPDATE t SET v = 'current' WHERE CURRENT OF u", "SELECT id FROM t ORDER BY id INTO TEMP tmp", "CREATE TEMP VIEW tv AS SELECT 1 AS one", "SELECT * FROM tv",
	"COPY nowhere TO STDOUT", "SELECT pg_current_xact_id_if_assigned() IS NULL", "TABLE t LIMIT 1", "VALUES (1), (2)", "EXPLAIN (COSTS OFF) UPDATE t SET v = ''", "MERGE INTO copied USING t ON a = id WHEN MATCHED THEN DELETE",
}
