-- standby: /* 50 MB of text */
SELECT repeat('0123456789', 5000000) /* 50 MB of text */

CREATE TABLE huge (a text)

ALTER TABLE huge ALTER COLUMN a SET STORAGE EXTERNAL

INSERT INTO huge SELECT repeat('abcdefghij', 2000000) FROM generate_series(1, 3)

SELECT length(a) FROM huge

SELECT a FROM huge

SELECT repeat('x', 200), i FROM generate_series(1, 20000) i

COPY (SELECT repeat('x', 200), i FROM generate_series(1, 20000) i) TO STDOUT

SELECT repeat('x', 1100000000)

SELECT 1
