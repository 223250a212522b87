-- Functions in PL/pgSQL of which nobody said that they only read: the body says it.
CREATE SCHEMA pl;
CREATE TABLE pl.items (id int PRIMARY KEY, name text, price numeric);
INSERT INTO pl.items SELECT i, 'item ' || i, i * 1.5 FROM generate_series(1, 20) i;
CREATE SEQUENCE pl.numbers;
SET search_path = pl;

CREATE FUNCTION price_of(wanted int) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE found_price numeric; BEGIN
  SELECT price INTO STRICT found_price FROM items WHERE id = wanted;
  RETURN found_price;
EXCEPTION WHEN no_data_found THEN RETURN 0;
END $$;
CREATE FUNCTION list_items(OUT item int, OUT label text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
  FOR item, label IN SELECT id, name FROM items ORDER BY id LOOP
    CONTINUE WHEN item % 2 = 0;
    EXIT WHEN item > 15;
    label := upper(label);
    RETURN NEXT;
  END LOOP;
END $$;
CREATE FUNCTION totals(VARIADIC wanted int[]) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE total numeric := 0; one int; n int;
BEGIN
  FOREACH one IN ARRAY wanted LOOP total := total + price_of(one); END LOOP;
  FOR i IN REVERSE 3..1 BY 2 LOOP total := total + i; END LOOP;
  WHILE total > 100 LOOP total := total / 2; END LOOP;
  CASE WHEN total > 50 THEN total := round(total); WHEN total > 20 THEN total := total + 1; ELSE NULL; END CASE;
  GET DIAGNOSTICS n = ROW_COUNT;
  ASSERT total >= 0, 'negative';
  RAISE NOTICE 'total %', total;
  RETURN total + n;
END $$;
CREATE FUNCTION cheaper(limit_ numeric) RETURNS SETOF items LANGUAGE plpgsql AS $$
DECLARE c CURSOR (most numeric) FOR SELECT * FROM items WHERE price < most ORDER BY id;
BEGIN
  FOR r IN c(limit_) LOOP RETURN NEXT r; END LOOP;
  RETURN QUERY SELECT * FROM items WHERE price = limit_;
  RETURN QUERY EXECUTE 'SELECT * FROM items WHERE id = $1' USING 1;
END $$;
CREATE FUNCTION divided(a int, b int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE said text;
BEGIN
  BEGIN
    RETURN a / b;
  EXCEPTION WHEN division_by_zero THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT;
    BEGIN PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN said := said || SQLSTATE; END;
  END;
  RETURN said;
END $$;
CREATE FUNCTION factorial_of(n int) RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN IF n < 2 THEN RETURN 1; ELSIF n > 30 THEN RAISE EXCEPTION 'too much: %', n USING ERRCODE = '22003', HINT = 'less'; END IF;
  RETURN n * factorial_of(n - 1); END $$;
CREATE FUNCTION with_path() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pl, pg_temp AS $$
DECLARE r items%ROWTYPE; n items.id%TYPE; BEGIN SELECT * INTO r FROM items WHERE id = 3; SELECT count(*) INTO n FROM items; RETURN n + r.id; END $$;
CREATE VIEW prices AS SELECT id, price_of(id) AS price FROM items;
CREATE FUNCTION via_view() RETURNS numeric LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT sum(price) FROM prices); END $$;
CREATE FUNCTION via_sql() RETURNS numeric LANGUAGE sql AS $$ SELECT via_view() + price_of(2) $$;
CREATE FUNCTION nothing() RETURNS void LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE FUNCTION plans() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) DELETE FROM pl.items WHERE id = 1'; END $$;

SELECT price_of(3);
SELECT price_of(300);
SELECT id, price_of(id) FROM items ORDER BY id;
SELECT * FROM list_items();
SELECT totals(1, 2, 3);
SELECT totals(VARIADIC ARRAY[4, 5]);
SELECT * FROM cheaper(6.0);
SELECT divided(4, 2);
SELECT divided(4, 0);
SELECT factorial_of(10);
SELECT factorial_of(31);
SELECT with_path();
SELECT via_view();
SELECT via_sql();
SELECT nothing();
SELECT * FROM prices WHERE price > 5 ORDER BY id;
SELECT plans();
EXPLAIN (COSTS OFF) SELECT price_of(3);
COPY (SELECT price_of(id) FROM items ORDER BY id) TO STDOUT;

-- These write, take a number, a lock or the node's word, or might.
CREATE FUNCTION renames() RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE pl.items SET name = name || '!' WHERE id = 1; RETURN 1; END $$;
CREATE FUNCTION hides() RETURNS int LANGUAGE plpgsql AS $$
BEGIN BEGIN INSERT INTO pl.items VALUES (nextval('pl.numbers') + 100); EXCEPTION WHEN OTHERS THEN RETURN 0; END; RETURN 1; END $$;
CREATE FUNCTION numbered() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN nextval('pl.numbers'); END $$;
CREATE FUNCTION stable_writer() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN pl.renames(); END $$;
CREATE FUNCTION locks_one() RETURNS int LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN SELECT id INTO n FROM pl.items WHERE id = 1 FOR UPDATE; RETURN n; END $$;
CREATE FUNCTION dynamic(what text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE what; RETURN 1; END $$;
CREATE FUNCTION recovering() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RETURN pg_is_in_recovery(); END $$;
CREATE FUNCTION makes() RETURNS int LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE pl.made (a int); DROP TABLE pl.made; RETURN 1; END $$;
CREATE FUNCTION in_a_loop() RETURNS int LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..nextval('pl.numbers') LOOP RETURN i; END LOOP; RETURN 0; END $$;
CREATE FUNCTION in_a_case(a int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN CASE a WHEN 1, nextval('pl.numbers') THEN RETURN 1; ELSE RETURN 2; END CASE; END $$;
CREATE FUNCTION in_a_default() RETURNS int LANGUAGE plpgsql AS $$ DECLARE n bigint := nextval('pl.numbers'); BEGIN RETURN 1; END $$;
CREATE FUNCTION in_a_message() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', nextval('pl.numbers'); RETURN 1; END $$;
CREATE FUNCTION in_a_target() RETURNS int LANGUAGE plpgsql AS $$ DECLARE a int[]; BEGIN a[nextval('pl.numbers')] := 1; RETURN 1; END $$;
CREATE FUNCTION in_a_type() RETURNS int LANGUAGE plpgsql AS $$ DECLARE a pl.counted; BEGIN a := 1; RETURN 1; END $$;
CREATE FUNCTION counts(int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('pl.numbers') > 0; END $$;
CREATE DOMAIN counted AS int CHECK (pl.counts(VALUE));
SELECT renames();
SELECT hides();
SELECT numbered();
SELECT stable_writer();
SELECT locks_one();
SELECT dynamic('UPDATE pl.items SET name = name || ''?'' WHERE id = 2');
SELECT recovering();
SELECT makes();
SELECT in_a_loop();
SELECT in_a_case(2);
SELECT in_a_default();
SELECT in_a_message();
SELECT in_a_target();
SELECT in_a_type();

-- Another definition is another matter, at once.
CREATE OR REPLACE FUNCTION price_of(wanted int) RETURNS numeric LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('pl.numbers'); END $$;
SELECT price_of(3);
SELECT via_sql();
CREATE OR REPLACE FUNCTION price_of(wanted int) RETURNS numeric LANGUAGE plpgsql AS $$ BEGIN RETURN wanted; END $$;
SELECT price_of(3);
SELECT via_sql();
DROP SCHEMA pl CASCADE;
RESET search_path;
