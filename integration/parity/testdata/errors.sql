SELEKT 1

SELECT 1 +

SELECT nothing FROM t

SELECT * FROM nowhere

SELECT 1/0

SELECT 'a'::int

SELECT nofunction(1)

INSERT INTO constrained (id) VALUES (1), (1)

INSERT INTO constrained (id, p) VALUES (1, -1)

INSERT INTO constrained (id, m) VALUES (1, NULL)

INSERT INTO constrained (id, m) VALUES (1, 'angry')

INSERT INTO constrained (id, parent) VALUES (1, 12345)

INSERT INTO constrained (id) VALUES (5000)

SELECT v FROM t WHERE id = (SELECT id FROM t)

SELECT '{"a": '::jsonb

SELECT repeat('x', -1), 'unterminated

SELECT * FROM t; SELECT * FROM t WHERE; SELECT 3

DO $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = 'XY123', DETAIL = 'd', HINT = 'h', COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 't', TABLE = 'tt', SCHEMA = 's'; END $$

SELECT lies(8)

SELECT * FROM copied

CREATE TABLE t (a int)

DROP TABLE nowhere

DROP TABLE IF EXISTS nowhere

ROLLBACK

COMMIT

SAVEPOINT a

SELECT pg_terminate_backend(-1)

SELECT "é" FROM t

SELECT 'é', 1 FROM nowhere

SET nothing = 1

SET DateStyle = 'nonsense'

SHOW nothing

SELECT current_setting('nothing.at_all')

PREPARE TRANSACTION 'x'

EXECUTE nothing

FETCH 1 FROM nothing

SELECT pg_advisory_unlock(1)

LISTEN

COPY nowhere FROM STDIN

COPY t TO '/nonexistent/file'

SELECT /* unterminated comment
