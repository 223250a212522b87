-- standby: /* only reads */
-- primary: /* reads, then writes */
SELECT 1; SELECT id FROM t WHERE id < 3 ORDER BY id; SELECT 'three' /* only reads */

SELECT 1; INSERT INTO t VALUES (20, 'x'); SELECT v FROM t WHERE id = 20 /* reads, then writes */

INSERT INTO t VALUES (21, 'x'); SELECT 1/0; INSERT INTO t VALUES (22, 'x')

SELECT count(*) FROM t WHERE id > 19

BEGIN; INSERT INTO t VALUES (23, 'x'); COMMIT; SELECT 1/0; SELECT 2

SELECT count(*) FROM t WHERE id > 19

BEGIN; INSERT INTO t VALUES (24, 'x')

SELECT count(*) FROM t WHERE id > 19

ROLLBACK; SELECT count(*) FROM t WHERE id > 19; BEGIN; SELECT 5

SELECT 6; COMMIT

;;; SELECT 1;;

SELECT 1; COMMIT; SELECT 2

SELECT 1; ROLLBACK

SET search_path = other; SELECT * FROM t

SELECT * FROM t

RESET search_path; SELECT count(*) FROM t

CREATE TABLE made (a int); INSERT INTO made VALUES (1); SELECT * FROM made; DROP TABLE made

SELECT 1; VACUUM t

PREPARE a AS SELECT 1; EXECUTE a; DEALLOCATE a; EXECUTE a

SELECT 'a;b'; SELECT $$c;d$$; SELECT E'e\';f' /* ; */; SELECT "id" FROM t LIMIT 1 -- ;
