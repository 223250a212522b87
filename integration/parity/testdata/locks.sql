-- primary: pg_advisory_lock
-- primary: pg_try_advisory_lock
SELECT pg_advisory_lock(42)

SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

SELECT pg_try_advisory_lock(42)

SELECT pg_advisory_unlock(42)

SELECT pg_advisory_unlock_all()

SELECT id FROM t WHERE id = 1 FOR SHARE

SELECT id FROM (SELECT id FROM t FOR UPDATE SKIP LOCKED) x ORDER BY id LIMIT 1

WITH x AS (SELECT id FROM t WHERE id = 2 FOR NO KEY UPDATE) SELECT * FROM x

BEGIN

LOCK TABLE t IN ACCESS SHARE MODE

SELECT count(*) FROM t

COMMIT

SELECT txid_current() > 0

SELECT pg_export_snapshot() IS NOT NULL

SELECT pg_current_wal_lsn() IS NOT NULL

SELECT pg_is_in_recovery()

SELECT pg_last_wal_replay_lsn()
