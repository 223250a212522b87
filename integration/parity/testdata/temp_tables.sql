-- standby: /* not yet hidden */
-- primary: /* hidden */
SELECT count(*) FROM t /* not yet hidden */

CREATE TEMP TABLE mine (a int)

INSERT INTO mine VALUES (1), (2)

SELECT * FROM mine

CREATE TEMPORARY TABLE t (id int, only_here text)

SELECT * FROM t /* hidden */

INSERT INTO t VALUES (1, 'temp')

SELECT * FROM t

SELECT count(*) FROM public.t

SELECT count(*) FROM pg_temp.t

DROP TABLE t

SELECT count(*) FROM t

BEGIN

CREATE TEMP TABLE kinds (z int) ON COMMIT DROP

SELECT * FROM kinds

COMMIT

SELECT count(*) FROM kinds

SELECT 1 AS a INTO TEMP picked

SELECT * FROM picked

CREATE TEMP VIEW v AS SELECT 'a temporary view' AS x

SELECT * FROM v

CREATE TEMP SEQUENCE counter

SELECT nextval('counter')

DO $$ BEGIN CREATE TEMP TABLE secretly (a int); INSERT INTO secretly VALUES (9); END $$

SELECT * FROM secretly

DISCARD TEMP

SELECT * FROM mine

SELECT * FROM v ORDER BY id

CREATE TEMP TABLE t (a int)

ROLLBACK

DISCARD ALL

SELECT count(*) FROM t
