CREATE TABLE seen (n int)

INSERT INTO seen VALUES (1)

SELECT sum(n) FROM seen /* after write 1 */

INSERT INTO seen VALUES (2)

SELECT sum(n) FROM seen /* after write 2 */

BEGIN; INSERT INTO seen VALUES (4); COMMIT

SELECT sum(n) FROM seen /* after write 3 */

DELETE FROM seen WHERE n = 1; SELECT sum(n) FROM seen

ALTER TABLE seen RENAME COLUMN n TO m

SELECT sum(m) FROM seen

ALTER TABLE seen RENAME TO seen_too

SELECT sum(m) FROM seen_too

SELECT sum(m) FROM seen

CREATE OR REPLACE FUNCTION reads(int) RETURNS text LANGUAGE sql VOLATILE AS 'INSERT INTO copied VALUES ($1, ''now a writer'') RETURNING b'

SELECT reads(9)

SELECT * FROM copied

CREATE OR REPLACE VIEW v AS SELECT id, writes(id)::text AS v FROM t WHERE id = 1

SELECT * FROM v

SELECT count(*) FROM copied
