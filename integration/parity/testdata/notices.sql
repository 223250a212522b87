SELECT shouts('hello')

SET client_min_messages = error

SELECT shouts('quiet')

RESET client_min_messages

DROP TABLE IF EXISTS nowhere

CREATE TABLE IF NOT EXISTS t (a int)

CREATE TABLE self_made (id int PRIMARY KEY)

DO $$ BEGIN RAISE WARNING 'careful'; RAISE INFO 'for you'; RAISE LOG 'not for you'; END $$

BEGIN; BEGIN; COMMIT; COMMIT

SET client_min_messages = debug1

CREATE TABLE debugged (id int PRIMARY KEY)

RESET client_min_messages

TRUNCATE t CASCADE
