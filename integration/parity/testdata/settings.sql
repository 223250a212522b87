-- standby: /* with search_path */
-- standby: /* in Tokyo */
-- standby: /* after rollback */
SET search_path = other, public

SELECT * FROM t /* with search_path */

SHOW search_path

SET TimeZone = 'Asia/Tokyo'

SELECT g FROM kinds /* in Tokyo */

SET DateStyle = 'German, DMY'

SELECT g FROM kinds

SET DateStyle = sql

SELECT g FROM kinds

SET DateStyle = ymd

SELECT g FROM kinds

SET DateStyle = iso

SELECT g FROM kinds

SET IntervalStyle = 'iso_8601'

SELECT k FROM kinds

SET bytea_output = 'escape'

SELECT f FROM kinds

SET extra_float_digits = -5

SELECT e, 1/3::float8 FROM kinds

SET application_name = 'a name'

SHOW application_name

SET client_encoding = 'LATIN1'

SHOW client_encoding

RESET client_encoding

RESET search_path

SELECT count(*) FROM t

RESET TimeZone

BEGIN

SET LOCAL TimeZone = 'America/New_York'

SELECT g FROM kinds

SHOW TimeZone

COMMIT

SELECT g FROM kinds

BEGIN

SET search_path = other

SELECT * FROM t

ROLLBACK

SELECT count(*) FROM t /* after rollback */

BEGIN

SET TimeZone = 'Europe/Berlin'

SAVEPOINT a

SET TimeZone = 'Asia/Tokyo'

ROLLBACK TO a

SHOW TimeZone

COMMIT

SELECT g FROM kinds

SELECT set_config('search_path', 'other', false)

SELECT * FROM t

SELECT set_config('search_path', 'public', true)

SELECT * FROM t

SELECT current_setting('search_path')

SET SESSION search_path TO DEFAULT

SELECT count(*) FROM t

SET my.variable = 'kept'

SELECT current_setting('my.variable')

SELECT current_setting('my.variable', true), id FROM t WHERE id = 1

RESET my.variable

SELECT current_setting('my.variable', true), id FROM t WHERE id = 1

SET ROLE reader

SELECT current_user, session_user

SELECT count(*) FROM t

SELECT * FROM secret

SELECT * FROM owned

INSERT INTO t VALUES (61, 'x')

RESET ROLE

SELECT current_user

SELECT * FROM owned

SET SESSION AUTHORIZATION reader

SELECT current_user, session_user

SELECT * FROM owned

SELECT * FROM secret

RESET SESSION AUTHORIZATION

SELECT current_user, session_user

SET statement_timeout = '50ms'

SELECT pg_sleep(5)

SELECT count(*) FROM t

RESET ALL

SHOW statement_timeout

SHOW TimeZone

SET enable_seqscan = off

EXPLAIN (COSTS OFF) SELECT * FROM t WHERE id = 3

SET TIME ZONE 'UTC'

SET TIME ZONE LOCAL

SET NAMES 'UTF8'

SET XML OPTION DOCUMENT

DISCARD ALL

SHOW application_name

SHOW search_path

SELECT count(*) FROM t

SELECT name, setting FROM pg_settings WHERE name IN ('TimeZone', 'search_path', 'enable_seqscan') ORDER BY name

SET standard_conforming_strings = off

SELECT 'a\'b'

SELECT 'a\nb', E'c\nd'

SET standard_conforming_strings = on

SELECT 'a\nb'
