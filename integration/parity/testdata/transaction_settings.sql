-- standby: /* under a setting */
-- standby: /* under another */
-- standby: /* on both nodes */
-- standby: /* after set_config */
-- standby: /* after a reset */
-- standby: /* after a look at the catalog */
-- standby: /* in a read-write block */
-- standby: /* in a new block */
-- primary: /* after a savepoint */
-- primary: /* after a write */
BEGIN

SET LOCAL TimeZone = 'America/New_York'

SELECT g FROM kinds /* under a setting */

SET LOCAL TimeZone = 'Asia/Tokyo'

SELECT g FROM kinds /* under another */

SHOW TimeZone

COMMIT

SELECT g FROM kinds

SHOW TimeZone

BEGIN

SELECT count(*) FROM t

SET DateStyle = 'German, DMY'

SELECT g FROM kinds /* on both nodes */

ROLLBACK

SELECT g FROM kinds

BEGIN

SELECT set_config('TimeZone', 'Europe/Berlin', true), set_config('DateStyle', 'SQL, DMY', true)

SELECT g FROM kinds /* after set_config */

COMMIT

SELECT g FROM kinds

SET search_path = other

BEGIN

RESET search_path

SELECT count(*) FROM t /* after a reset */

COMMIT

SELECT count(*) FROM t

RESET search_path

BEGIN

SET LOCAL TimeZone = 'Asia/Tokyo'

SELECT g FROM kinds

SELECT 1/0

SELECT g FROM kinds

ROLLBACK

SELECT g FROM kinds

BEGIN

SELECT relname FROM pg_class WHERE relname = 't'

SELECT count(*) FROM t /* after a look at the catalog */

COMMIT

BEGIN READ WRITE

SELECT count(*) FROM t /* in a read-write block */

SHOW transaction_read_only

COMMIT

BEGIN

SET LOCAL TimeZone = 'Asia/Tokyo'

SELECT g FROM kinds

COMMIT AND CHAIN

SELECT g FROM kinds /* in a new block */

SET LOCAL TimeZone = 'Asia/Tokyo'

SAVEPOINT a

SET LOCAL TimeZone = 'Asia/Seoul'

SELECT g FROM kinds /* after a savepoint */

ROLLBACK TO a

SELECT g FROM kinds /* after a savepoint */

COMMIT

BEGIN

SET LOCAL TimeZone = 'Asia/Tokyo'

SELECT g FROM kinds

INSERT INTO t VALUES (100, 'x')

SELECT count(*) FROM t /* after a write */

SET LOCAL TimeZone = 'Asia/Seoul'

SELECT g FROM kinds /* after a write */

COMMIT

SELECT count(*) FROM t

BEGIN READ ONLY

SET LOCAL TimeZone = 'Asia/Tokyo'

SELECT g FROM kinds

COMMIT

BEGIN

SET LOCAL no.such_setting = 'x'

SELECT current_setting('no.such_setting') FROM t LIMIT 1

COMMIT

BEGIN

SET LOCAL TimeZone = 'nowhere'

SELECT 1

ROLLBACK
