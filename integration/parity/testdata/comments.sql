-- standby: SELECT /* inner
/* before */ SELECT /* inner */ id FROM t WHERE id = 1 /* after */

-- a line
SELECT id /* nested /* comment */ here */ FROM t WHERE id = 2 -- the end

/* only a comment */

SELECT id FROM t /* INSERT INTO t VALUES (1) */ WHERE id = 3

/* hint-like: NO LOAD BALANCE */ SELECT 1

SELECT 'it''s', "v", U&'\0041', B'101', X'1F', $a$dollar $ quoted$a$ FROM t LIMIT 1
