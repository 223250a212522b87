-- standby: SELECT id, v FROM t ORDER BY id
-- standby: FROM kinds
-- standby: FROM v ORDER BY
-- primary: INSERT INTO t
-- primary: FOR UPDATE
-- primary: nextval
-- primary: writes(5)
SELECT id, v FROM t ORDER BY id

SELECT * FROM kinds

SELECT * FROM v ORDER BY id

SELECT reads(3), pure(4)

SELECT 1 AS one, NULL AS nothing, 'text'::varchar(7) AS t, 1.50::numeric(5,2) AS n

INSERT INTO t VALUES (11, 'new') RETURNING id, v

UPDATE t SET v = v || '!' WHERE id > 9

SELECT count(*), max(v) FROM t

DELETE FROM t WHERE id = 11

SELECT count(*), max(v) FROM t

SELECT id FROM t WHERE id = 1 FOR UPDATE

SELECT nextval('counter')

SELECT currval('counter')

SELECT lastval()

SELECT setval('counter', 100)

SELECT writes(5)

SELECT * FROM copied

WITH gone AS (DELETE FROM copied RETURNING a) SELECT * FROM gone

SELECT count(*) FROM copied

INSERT INTO triggered VALUES (77)

SELECT * FROM copied

CREATE TABLE made AS SELECT id FROM t WHERE id < 3

SELECT * FROM made ORDER BY id

SELECT id INTO made_too FROM t WHERE id < 2

SELECT * FROM made_too

TABLE t

VALUES (1, 'a'), (2, 'b')

EXPLAIN (COSTS OFF) SELECT * FROM t WHERE id = 1

EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) INSERT INTO t VALUES (50, 'explained')

SELECT v FROM t WHERE id = 50

SELECT * FROM volatile_table

MERGE INTO t USING (VALUES (50, 'merged')) AS s(id, v) ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v

SELECT v FROM t WHERE id = 50

TRUNCATE copied

ALTER TABLE t ADD COLUMN extra int DEFAULT 5

SELECT * FROM t WHERE id = 1

VACUUM copied

ANALYZE copied

CREATE INDEX CONCURRENTLY later ON t (v)

DROP TABLE made, made_too

SELECT * FROM made

CALL commits(1)

SELECT * FROM copied

DO $$ BEGIN INSERT INTO copied VALUES (99, 'do'); END $$

SELECT count(*) FROM copied

LOCK TABLE t

SHOW server_version_num

SHOW in_hot_standby

SELECT pg_is_in_recovery()

SELECT current_database() = current_catalog, current_user, session_user
