-- Plain reads, by kind of expression.
SELECT 1;
SELECT;
VALUES (1, 'a'), (2, 'b');
TABLE customers;
SELECT * FROM customers WHERE id = 1;
SELECT * FROM ONLY customers WHERE id BETWEEN 1 AND 5 ORDER BY id DESC;
SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.total > 1000 ORDER BY o.id;
SELECT c.name FROM customers c LEFT JOIN orders o USING (id) WHERE o.id IS NULL;
SELECT * FROM customers NATURAL JOIN tree WHERE id < 3;
SELECT a.id FROM tree a CROSS JOIN tree b WHERE a.id = b.parent ORDER BY 1;
SELECT DISTINCT state FROM orders;
SELECT DISTINCT ON (customer_id) customer_id, placed, total FROM orders ORDER BY customer_id, placed DESC;
SELECT state, count(*), sum(total), avg(total), min(placed), max(placed) FROM orders GROUP BY state HAVING count(*) > 1 ORDER BY state;
SELECT state, customer_id % 2, sum(total) FROM orders GROUP BY ROLLUP (state, customer_id % 2) ORDER BY 1, 2;
SELECT state, grouping(state), count(*) FROM orders GROUP BY GROUPING SETS ((state), ()) ORDER BY 1;
SELECT id FROM customers UNION SELECT id FROM tree ORDER BY 1 LIMIT 5;
SELECT id FROM customers INTERSECT SELECT id FROM tree;
SELECT id FROM tree EXCEPT ALL SELECT id FROM customers;
SELECT * FROM customers WHERE EXISTS (SELECT 1 FROM orders WHERE customer_id = customers.id AND total > 1400);
SELECT * FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE state = 'paid') AND id < 10;
SELECT * FROM customers WHERE id = ANY (ARRAY[1, 2, 3]);
SELECT name, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE id < 4;
SELECT c.id, x.total FROM customers c, LATERAL (SELECT total FROM orders o WHERE o.customer_id = c.id ORDER BY placed DESC LIMIT 1) x WHERE c.id < 5;
SELECT * FROM rich WHERE id < 20;
SELECT * FROM totals ORDER BY customer_id LIMIT 3;
SELECT * FROM events WHERE at < '2024-01-01 01:00' ORDER BY at;
SELECT id FROM customers ORDER BY id OFFSET 5 FETCH FIRST 3 ROWS WITH TIES;
SELECT * FROM customers TABLESAMPLE bernoulli (50) REPEATABLE (7);
SELECT * FROM customers TABLESAMPLE system (100) REPEATABLE (1);
-- WITH.
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b;
WITH a AS MATERIALIZED (SELECT * FROM orders) SELECT count(*) FROM a;
WITH RECURSIVE r AS (SELECT id, parent, 1 AS depth FROM tree WHERE parent IS NULL UNION ALL SELECT t.id, t.parent, r.depth + 1 FROM tree t JOIN r ON t.parent = r.id) SELECT depth, count(*) FROM r GROUP BY depth ORDER BY depth;
WITH RECURSIVE r(n) AS (VALUES (1) UNION SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r;
WITH RECURSIVE t AS (SELECT id, parent FROM tree WHERE id = 1 UNION ALL SELECT c.id, c.parent FROM tree c JOIN t ON c.parent = t.id) SEARCH DEPTH FIRST BY id SET o SELECT id FROM t ORDER BY o;
-- Windows.
SELECT id, row_number() OVER w, rank() OVER w, lag(total) OVER w FROM orders WHERE id < 20 WINDOW w AS (PARTITION BY state ORDER BY id);
SELECT id, sum(total) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM orders WHERE id < 20 ORDER BY id;
SELECT first_value(id) OVER (ORDER BY id), last_value(id) OVER (ORDER BY id), nth_value(id, 2) OVER (ORDER BY id) FROM tree ORDER BY id;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY state) FROM orders;
SELECT string_agg(name, ', ' ORDER BY id), array_agg(id ORDER BY id DESC), count(*) FILTER (WHERE id > 5), bool_and(id > 0) FROM customers WHERE id < 10;
SELECT corr(total, id), stddev(total), regr_slope(total, id), var_pop(total) FROM orders;
-- JSON.
SELECT data->'name', data->>'n', data#>'{nested,even}', data#>>'{list,0}' FROM customers WHERE id < 3;
SELECT * FROM customers WHERE data @> '{"nested": {"even": true}}' ORDER BY id LIMIT 3;
SELECT * FROM customers WHERE data ? 'n' AND data ?| ARRAY['a', 'name'] AND id = 1;
SELECT jsonb_path_query(data, '$.list[*] ? (@ > 1)') FROM customers WHERE id < 3;
SELECT jsonb_path_exists(data, '$.n'), data @? '$.n', data @@ '$.n > 1' FROM customers WHERE id = 2;
SELECT key, value FROM customers, jsonb_each(data) WHERE id = 1;
SELECT jsonb_object_agg(id, name), jsonb_agg(to_jsonb(c)) FROM (SELECT id, name FROM customers WHERE id < 3) c;
SELECT json_build_object('a', 1, 'b', ARRAY[1, 2]), row_to_json(ROW(1, 'x')), json_strip_nulls('{"a": null}');
SELECT * FROM jsonb_to_recordset('[{"a": 1, "b": "x"}]') AS x(a int, b text);
SELECT * FROM json_populate_record(NULL::tree, '{"id": 1, "label": "x"}');
SELECT jsonb_set('{"a": 1}', '{a}', '2'), jsonb_insert('{"a": [1]}', '{a, 0}', '0'), '{"a": 1}'::jsonb || '{"b": 2}', '{"a": 1}'::jsonb - 'a', jsonb_pretty('{"a":1}');
SELECT jsonb_array_elements_text('["a", "b"]'), jsonb_typeof('1'), json_typeof('[]');
-- Text, numbers, dates, arrays, ranges, geometry, network, bits.
SELECT upper(name), lower(name), initcap(name), length(name), substr(name, 2, 3), substring(name FROM 2 FOR 3), position('c' IN name), trim(BOTH ' ' FROM name), overlay(name PLACING 'x' FROM 1), left(name, 2), reverse(name) FROM customers WHERE id = 1;
SELECT format('%s %I %L', 'a', 'b c', 'd'), concat_ws(',', 1, 2), repeat('x', 3), lpad('1', 3, '0'), split_part('a,b', ',', 2), regexp_replace('abc', 'b', 'x'), regexp_matches('abc', '(b)', 'g'), string_to_array('a,b', ','), translate('abc', 'ab', 'xy'), md5('a'), sha256('a'), encode('a', 'base64'), decode('YQ==', 'base64'), quote_ident('a b'), quote_literal('x');
SELECT name FROM customers WHERE name ILIKE '%2%' AND name ~ '^customer' AND name NOT SIMILAR TO '%x%' ORDER BY id LIMIT 3;
SELECT abs(-1), ceil(1.5), round(1.25, 1), trunc(1.9), mod(5, 3), power(2, 3), sqrt(2), exp(1), ln(2), log(10), greatest(1, 2), least(1, 2), width_bucket(5, 0, 10, 5), 7 / 2, 7 % 2, 2 ^ 3, |/ 4, @ -1, 5 & 3, ~1, gcd(4, 6);
SELECT date '2024-02-29' + 1, timestamp '2024-01-01' + interval '1 month', date_trunc('month', timestamptz '2024-05-05'), extract(epoch FROM timestamptz '2024-01-01'), date_part('dow', date '2024-01-01'), make_date(2024, 1, 1), to_char(date '2024-01-01', 'YYYY'), to_date('2024', 'YYYY'), to_timestamp(0), age(date '2024-01-01', date '2023-01-01'), justify_days(interval '40 days'), timestamptz '2024-01-01' AT TIME ZONE 'UTC', isfinite(date 'infinity');
SELECT placed::date, count(*) FROM orders GROUP BY 1 ORDER BY 1 LIMIT 5;
SELECT date_bin('15 minutes', placed, '2024-01-01'), count(*) FROM orders GROUP BY 1 ORDER BY 1 LIMIT 5;
SELECT * FROM generate_series(timestamptz '2024-01-01', '2024-01-03', '1 day') d LEFT JOIN orders o ON o.placed::date = d::date AND o.id < 30 ORDER BY 1, o.id;
SELECT now(), current_timestamp, current_date, localtime, localtimestamp, transaction_timestamp(), statement_timestamp(), clock_timestamp(), timeofday();
SELECT * FROM orders WHERE placed > now() - interval '100 years' AND id < 3;
SELECT random(), gen_random_uuid(), random() * 10;
SELECT * FROM customers ORDER BY random() LIMIT 1;
SELECT pg_sleep(0.001);
SELECT tags[1], tags[1:2], array_length(tags, 1), cardinality(tags), array_append(tags, 'x'), tags || ARRAY['y'], 'all' = ANY (tags), tags @> ARRAY['all'], tags && ARRAY['z'], array_position(tags, 'all'), unnest(tags) FROM customers WHERE id = 1;
SELECT * FROM unnest(ARRAY[1, 2], ARRAY['a', 'b']) WITH ORDINALITY AS x(a, b, n);
SELECT id FROM tree WHERE period @> timestamptz '2024-01-10' AND period && tstzrange('2024-01-01', '2024-01-05') ORDER BY id LIMIT 3;
SELECT lower(period), upper(period), isempty(period), int4range(1, 5) * int4range(3, 8), range_agg(period) FROM tree WHERE id < 3 GROUP BY period;
SELECT point '(1,2)' <-> point '(3,4)', box '((0,0),(1,1))' @> point '(0.5,0.5)', area(box '((0,0),(2,2))'), circle '((0,0),1)';
SELECT inet '192.168.1.1/24' << inet '192.168.0.0/16', host('10.0.0.1'), network('10.0.0.1/8'), macaddr '08:00:2b:01:02:03';
SELECT B'101' & B'110', X'1F', 'abc'::bytea, '\x00'::bytea || 'a', get_byte('abc', 1), bit_length('abc');
SELECT 'a'::text COLLATE "C" < 'B', CAST('1' AS int), '1'::int4, int '1', NULLIF(1, 1), 1 IS DISTINCT FROM 2, (1, 2) < (1, 3), ROW(1, 2) = ROW(1, 2), true IS NOT UNKNOWN, 1 BETWEEN SYMMETRIC 2 AND 0;
SELECT CASE WHEN id = 1 THEN 'one' ELSE 'many' END, coalesce(email, 'none') FROM customers WHERE id < 3;
SELECT enum_range(NULL::mood), 'sad'::mood < 'ok'::mood, enum_first(NULL::mood);
SELECT pg_typeof(1), pg_typeof(name), pg_column_size(name), format_type(25, NULL) FROM customers WHERE id = 1;
-- Text search.
SELECT id, ts_rank(words, q), ts_headline('english', body, q) FROM documents, to_tsquery('english', 'fox & dog') q WHERE words @@ q ORDER BY id LIMIT 3;
SELECT to_tsvector('simple', 'a b'), plainto_tsquery('a b'), websearch_to_tsquery('"a b" -c'), phraseto_tsquery('a b'), setweight(to_tsvector('a'), 'A'), get_current_ts_config();
SELECT * FROM ts_debug('english', 'the fox') ORDER BY 1, 2;
SELECT * FROM ts_parse('default', 'a b'), ts_token_type('default') t LIMIT 3;
SELECT ts_lexize('english_stem', 'stars'), numnode('a & b'::tsquery), querytree('a & b');
-- XML.
SELECT xmlelement(name a, xmlattributes(1 AS b), 'c'), xmlforest(1 AS a), xmlconcat('<a/>', '<b/>'), xpath('/n/i/text()', note) FROM orders WHERE id = 1;
SELECT xmlagg(xmlelement(name i, id)) FROM (SELECT id FROM customers WHERE id < 3 ORDER BY id) s;
SELECT x.* FROM orders, XMLTABLE('/n' PASSING note COLUMNS i int PATH 'i') x WHERE id = 1;
-- Several statements in one text.
SELECT 1\; SELECT 2;
SELECT count(*) FROM customers\; VALUES (1)\; TABLE tree;
-- pgbench.
SELECT abalance FROM pgbench_accounts WHERE aid = 42;
select count(*) from pgbench_branches;
-- Comments and odd layout.
/* hint */ SELECT /* a /* nested */ b */ 1 -- end
;
select
	"name"
		from app . "customers" where id=/**/1;
SELECT U&'\0061', E'\x41', $$dollar$$, $x$a$$b$x$, 'it''s', N'n', 'a' 'b';
SELECT 'a'
  'b';
-- Errors that every node gives alike.
SELECT 1 / 0;
SELECT * FROM nowhere;
SELECT nothing FROM customers;
SELECT 'x'::int;
SELECT lower(1, 2);
