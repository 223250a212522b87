PREPARE q AS SELECT v FROM t WHERE id = $1 /* prepared read */

EXECUTE q(1)

EXECUTE q(2)

PREPARE q AS SELECT 2

PREPARE w (int, text) AS INSERT INTO t VALUES ($1, $2) RETURNING id

EXECUTE w(71, 'prepared')

EXECUTE q(71)

EXECUTE q('x')

EXECUTE q

DEALLOCATE q

EXECUTE q(1)

BEGIN

PREPARE in_transaction AS SELECT 'in transaction'

ROLLBACK

EXECUTE in_transaction

EXPLAIN (COSTS OFF) EXECUTE w(72, 'x')

CREATE TABLE from_prepared AS EXECUTE in_transaction

TABLE from_prepared

DEALLOCATE PREPARE in_transaction

DEALLOCATE ALL

EXECUTE w(73, 'x')

PREPARE broken AS SELECT * FROM nowhere

EXECUTE broken

PREPARE changed AS SELECT * FROM other.t

EXECUTE changed

ALTER TABLE other.t ADD COLUMN more int

EXECUTE changed

SELECT name, statement FROM pg_prepared_statements ORDER BY name

DISCARD PLANS

DISCARD ALL

EXECUTE changed
