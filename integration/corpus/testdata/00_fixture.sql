-- The schema that the other scripts speak of. No view, function, sequence or
-- operator of it does more than its name says: what lies behind a user's names is
-- not to be seen in a text.
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE app.customers (id serial PRIMARY KEY, name text NOT NULL, email text UNIQUE, mood app.mood DEFAULT 'ok', born date, made timestamptz DEFAULT '2024-01-01', tags text[], data jsonb);
CREATE TABLE app.orders (id bigserial PRIMARY KEY, customer_id int REFERENCES app.customers, total numeric(12, 2), state text, placed timestamptz, note xml);
CREATE TABLE app.items (order_id bigint REFERENCES app.orders, line int, product text, quantity int, price numeric(10, 2), PRIMARY KEY (order_id, line));
CREATE INDEX orders_customer ON app.orders (customer_id, placed DESC);
CREATE INDEX customers_data ON app.customers USING gin (data);
CREATE TABLE app.events (at timestamptz NOT NULL, kind text, payload jsonb) PARTITION BY RANGE (at);
CREATE TABLE app.events_2024 PARTITION OF app.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE app.tree (id int PRIMARY KEY, parent int REFERENCES app.tree, label text, period tstzrange);
CREATE TABLE app.documents (id int PRIMARY KEY, title text, body text, words tsvector GENERATED ALWAYS AS (to_tsvector('english', body)) STORED);
CREATE VIEW app.rich AS SELECT * FROM app.customers WHERE mood = 'happy';
CREATE MATERIALIZED VIEW app.totals AS SELECT customer_id, sum(total) AS total FROM app.orders GROUP BY 1;
CREATE SEQUENCE app.tickets;
CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
INSERT INTO app.customers (name, email, mood, born, tags, data)
SELECT 'customer ' || i, 'c' || i || '@example.org', (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::app.mood, date '1970-01-01' + i * 30, ARRAY['tag' || i % 5, 'all'],
  jsonb_build_object('n', i, 'name', 'customer ' || i, 'nested', jsonb_build_object('even', i % 2 = 0), 'list', jsonb_build_array(i, i + 1))
FROM generate_series(1, 200) i;
INSERT INTO app.orders (customer_id, total, state, placed, note)
SELECT 1 + i % 200, i * 1.5, (ARRAY['new', 'paid', 'sent'])[1 + i % 3], timestamptz '2024-01-01' + i * interval '1 hour', '<n><i>1</i></n>' FROM generate_series(1, 1000) i;
INSERT INTO app.items SELECT 1 + i / 3, i % 3, 'product ' || i % 17, i % 7, i % 50 FROM generate_series(0, 2500) i;
INSERT INTO app.events SELECT timestamptz '2024-01-01' + i * interval '1 minute', 'kind ' || i % 4, '{}' FROM generate_series(1, 500) i;
INSERT INTO app.tree SELECT i, nullif(i / 2, 0), 'node ' || i, tstzrange('2024-01-01', timestamptz '2024-01-01' + i * interval '1 day') FROM generate_series(1, 63) i;
INSERT INTO app.documents SELECT i, 'title ' || i, 'the quick brown fox jumps over ' || i || ' lazy dogs' FROM generate_series(1, 50) i;
INSERT INTO pgbench_branches SELECT 1, 0;
INSERT INTO pgbench_tellers SELECT i, 1, 0 FROM generate_series(1, 10) i;
INSERT INTO pgbench_accounts SELECT i, 1, 0, '' FROM generate_series(1, 1000) i;
REFRESH MATERIALIZED VIEW app.totals;
SELECT nextval('app.tickets');
COMMENT ON TABLE app.customers IS 'who buys';
ANALYZE;
ALTER DATABASE corpus SET search_path = app, public;
CREATE ROLE corpus_reader LOGIN;
GRANT USAGE ON SCHEMA app TO corpus_reader;
GRANT SELECT ON app.customers TO corpus_reader;
