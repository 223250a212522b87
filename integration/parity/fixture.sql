CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 10) i;
CREATE TABLE kinds (a bool, b smallint, c bigint, d numeric, e float8, f bytea, g timestamptz, h int[], i jsonb, j uuid, k interval);
INSERT INTO kinds VALUES
	(true, 1, 2, 3.5, 1e100, '\x00ff', '2024-01-02 03:04:05.678+00', '{1,2,NULL}', '{"a": [1, null]}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '1 day 2 hours'),
	(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE copied (a int, b text);
CREATE UNLOGGED TABLE volatile_table (a int);
INSERT INTO volatile_table VALUES (1);
CREATE SEQUENCE counter;
CREATE VIEW v AS SELECT id, upper(v) AS v FROM t WHERE id <= 3;
CREATE SCHEMA other;
CREATE TABLE other.t (id int, note text);
INSERT INTO other.t VALUES (1, 'from the other schema');
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE constrained (
	id int PRIMARY KEY,
	p positive,
	m mood NOT NULL DEFAULT 'happy',
	parent int REFERENCES t DEFERRABLE,
	CONSTRAINT big CHECK (id < 1000));
CREATE FUNCTION writes(int) RETURNS int LANGUAGE sql AS 'INSERT INTO copied VALUES ($1, ''written'') RETURNING a';
CREATE FUNCTION reads(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT v FROM t WHERE id = $1';
CREATE FUNCTION pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION shouts(text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	RAISE NOTICE 'heard %', $1 USING DETAIL = 'a detail', HINT = 'a hint', ERRCODE = '01ABC';
	RETURN upper($1);
END $$;
CREATE FUNCTION lies(int) RETURNS int LANGUAGE plpgsql STABLE AS $$
BEGIN
	PERFORM writes($1);
	RETURN $1;
END $$;
CREATE FUNCTION hidden_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO copied VALUES (NEW.id, 'by trigger');
	RETURN NEW;
END $$;
CREATE TABLE triggered (id int);
CREATE TRIGGER triggered AFTER INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION hidden_write();
CREATE PROCEDURE commits(int) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO copied VALUES ($1, 'kept');
	COMMIT;
	INSERT INTO copied VALUES ($1 + 1, 'lost');
	ROLLBACK;
END $$;
GRANT SELECT ON t TO reader;
CREATE TABLE secret (a int);
CREATE TABLE owned (id int, who name);
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON owned USING (who = current_user);
INSERT INTO owned VALUES (1, 'reader'), (2, 'postgres');
GRANT SELECT ON owned TO reader;
