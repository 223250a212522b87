package main

// fixture gives every kind of object to functions that take its oid or name, and
// rows to the catalogs. What it makes on the primary only (slots, a prepared
// transaction, a sequence that was used) is there to make the nodes differ.
const fixture = `
CREATE ROLE trial_role LOGIN PASSWORD 'secret' VALID UNTIL '2040-01-01';
CREATE ROLE trial_group ROLE trial_role;
ALTER ROLE trial_role SET work_mem = '8MB';
ALTER DATABASE ` + database + ` SET extra_float_digits = 1;
CREATE TABLE trial_table (id int PRIMARY KEY, name text UNIQUE DEFAULT 'x', at timestamptz, CHECK (id >= 0));
INSERT INTO trial_table SELECT i, 'name ' || i, '2020-01-01' FROM generate_series(1, 100) i;
CREATE INDEX trial_index ON trial_table (lower(name));
CREATE INDEX trial_gin ON trial_table USING gin (to_tsvector('english', name));
CREATE INDEX trial_brin ON trial_table USING brin (id);
CREATE STATISTICS trial_statistics ON id, name FROM trial_table;
CREATE VIEW trial_view AS SELECT id, name FROM trial_table WHERE id > 1;
CREATE MATERIALIZED VIEW trial_matview AS SELECT count(*) FROM trial_table;
CREATE SEQUENCE trial_sequence;
SELECT nextval('trial_sequence');
CREATE TABLE trial_serial (id serial, other int REFERENCES trial_table, g int GENERATED ALWAYS AS IDENTITY);
INSERT INTO trial_serial (other) VALUES (1), (2);
CREATE UNLOGGED TABLE trial_unlogged (id serial);
CREATE TABLE trial_parent (id int) PARTITION BY RANGE (id);
CREATE TABLE trial_part PARTITION OF trial_parent FOR VALUES FROM (0) TO (10);
CREATE TYPE trial_enum AS ENUM ('a', 'b', 'c');
CREATE TYPE trial_type AS (a int, b text);
CREATE DOMAIN trial_domain AS int CHECK (VALUE > 0);
CREATE FUNCTION trial_function(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE PROCEDURE trial_procedure() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE trial_aggregate (int) (SFUNC = int4pl, STYPE = int);
CREATE FUNCTION trial_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER trial_trigger BEFORE INSERT ON trial_table FOR EACH ROW EXECUTE FUNCTION trial_trigger();
CREATE FUNCTION trial_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER trial_event ON sql_drop EXECUTE FUNCTION trial_event();
ALTER EVENT TRIGGER trial_event DISABLE;
CREATE RULE trial_rule AS ON DELETE TO trial_view DO INSTEAD NOTHING;
ALTER TABLE trial_table ENABLE ROW LEVEL SECURITY;
CREATE POLICY trial_policy ON trial_table TO trial_role USING (id > 5);
CREATE FOREIGN DATA WRAPPER trial_wrapper;
CREATE SERVER trial_server FOREIGN DATA WRAPPER trial_wrapper OPTIONS (host 'nowhere');
CREATE USER MAPPING FOR trial_role SERVER trial_server OPTIONS (password 'secret');
CREATE PUBLICATION trial_publication FOR TABLE trial_table;
CREATE SUBSCRIPTION trial_subscription CONNECTION 'dbname=nowhere' PUBLICATION trial_publication WITH (connect = false);
CREATE TABLESPACE trial_space LOCATION '';
CREATE TABLE trial_elsewhere (id int) TABLESPACE trial_space;
CREATE TEXT SEARCH CONFIGURATION trial_config (COPY = english);
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE CAST (trial_enum AS int) WITH INOUT;
CREATE COLLATION trial_collation (LOCALE = 'C');
ALTER DEFAULT PRIVILEGES FOR ROLE trial_role GRANT SELECT ON TABLES TO PUBLIC;
GRANT SELECT ON trial_table TO trial_role;
GRANT UPDATE (name) ON trial_table TO trial_role;
COMMENT ON TABLE trial_table IS 'a comment';
COMMENT ON DATABASE ` + database + ` IS 'a comment';
SELECT lo_from_bytea(4242, 'large object');
SELECT pg_replication_origin_create('trial_origin');
SELECT pg_create_physical_replication_slot('trial_physical', true);
BEGIN;
INSERT INTO trial_serial (other) VALUES (3);
PREPARE TRANSACTION 'trial_prepared';
ANALYZE;
`

// keepBusy leaves its session in a transaction that holds locks.
const keepBusy = `
LISTEN trial_channel;
BEGIN;
SELECT pg_advisory_lock(4242);
LOCK TABLE trial_elsewhere IN EXCLUSIVE MODE;
SELECT pg_export_snapshot();
`
