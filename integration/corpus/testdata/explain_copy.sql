-- EXPLAIN of everything, COPY both ways.
EXPLAIN SELECT * FROM customers WHERE id = 1;
EXPLAIN (VERBOSE, COSTS off, FORMAT json) SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id;
EXPLAIN (FORMAT yaml, SETTINGS) SELECT count(*) FROM orders;
EXPLAIN (FORMAT xml) VALUES (1);
EXPLAIN ANALYZE SELECT count(*) FROM orders;
EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM customers WHERE id = 1;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM customers WHERE id = 1;
EXPLAIN (ANALYZE off) SELECT * FROM customers WHERE id = 1;
EXPLAIN VERBOSE TABLE customers;
EXPLAIN SELECT now(), random();
EXPLAIN INSERT INTO tree VALUES (5000, NULL, 'x');
EXPLAIN INSERT INTO tree SELECT id + 5000, NULL, 'x' FROM tree;
EXPLAIN UPDATE customers SET name = 'x' WHERE id = 1;
EXPLAIN (COSTS off) DELETE FROM customers WHERE id = 1;
EXPLAIN (COSTS off) MERGE INTO customers c USING orders o ON c.id = o.customer_id WHEN MATCHED THEN DO NOTHING;
EXPLAIN SELECT * FROM customers WHERE id = 1 FOR UPDATE;
EXPLAIN WITH d AS (DELETE FROM tree WHERE id < 0 RETURNING *) SELECT * FROM d;
EXPLAIN CREATE TABLE scratch9 AS SELECT * FROM customers;
EXPLAIN SELECT * INTO scratch10 FROM customers;
EXPLAIN DECLARE cur CURSOR FOR SELECT * FROM customers;
EXPLAIN INSERT INTO customers (name) VALUES ('x') ON CONFLICT DO NOTHING;
EXPLAIN SELECT nextval('tickets');
COPY customers TO STDOUT;
COPY customers (id, name) TO STDOUT WITH (FORMAT csv, HEADER);
COPY customers TO STDOUT (FORMAT binary);
COPY (SELECT * FROM customers WHERE id < 5 ORDER BY id) TO STDOUT CSV;
COPY (WITH a AS (SELECT 1 AS x) SELECT * FROM a) TO STDOUT;
COPY (VALUES (1), (2)) TO STDOUT;
COPY tree (id) FROM STDIN;
6000
\.
COPY tree FROM '/nonexistent';
COPY rich TO STDOUT;
COPY pg_class (relname) TO STDOUT;
COPY (SELECT * FROM pg_stat_activity) TO STDOUT;
\copy (SELECT id FROM customers ORDER BY id LIMIT 3) TO /dev/null
