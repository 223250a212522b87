// The features of node-postgres that programs use, against 127.0.0.1:PORT.
'use strict';
const assert = require('node:assert/strict');
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');

const config = { host: '127.0.0.1', port: Number(process.argv[2]), user: 'postgres', database: 'postgres' };

async function withClient(work, more = {}) {
  const client = new Client({ ...config, ...more });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function one(client, sql, parameters) {
  const { rows } = await client.query({ text: sql, values: parameters, rowMode: 'array' });
  return rows[0][0];
}

async function fails(promise, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.code, code, error.message);
    return true;
  });
}

const features = {
  async queries() {
    await withClient(async (client) => {
      for (let i = 0; i < 20; i++) {
        await client.query('INSERT INTO pets VALUES ($1, $2)', [i, `pet ${i}`]);
        assert.equal(await one(client, 'SELECT name FROM pets WHERE id = $1', [i]), `pet ${i}`);
      }
      for (let i = 1; i <= 50; i++) {
        assert.equal(await one(client, 'SELECT name FROM readings WHERE id = $1', [i]), `reading ${i}`);
      }
      const results = await client.query("SELECT 1 AS a; INSERT INTO pets VALUES (50, 'multi'); SELECT 2 AS b");
      assert.deepEqual(results.map((r) => r.command), ['SELECT', 'INSERT', 'SELECT']);
      assert.deepEqual((await client.query('')).rows, []);
    });
  },

  async named_statements() {
    await withClient(async (client) => {
      for (let i = 1; i <= 20; i++) {
        const { rows } = await client.query({ name: 'by-id', text: 'SELECT name FROM readings WHERE id = $1', values: [i] });
        assert.equal(rows[0].name, `reading ${i}`);
        const written = await client.query({ name: 'rename', text: 'UPDATE pets SET name = $2 WHERE id = $1', values: [i % 10, `renamed ${i}`] });
        assert.equal(written.rowCount, 1);
        const back = await client.query({ name: 'pet', text: 'SELECT name FROM pets WHERE id = $1', values: [i % 10] });
        assert.equal(back.rows[0].name, `renamed ${i}`);
      }
      await fails(client.query({ name: 'broken', text: 'SELECT * FROM nowhere' }), '42P01');
      assert.equal(await one(client, 'SELECT 1'), 1);
    });
  },

  async pool() {
    const pool = new Pool({ ...config, max: 10 });
    const names = await Promise.all(Array.from({ length: 200 }, (_, i) => one(pool, 'SELECT name FROM readings WHERE id = $1', [i + 1])));
    names.forEach((name, i) => assert.equal(name, `reading ${i + 1}`));
    await pool.end();
  },

  async cursor() {
    await withClient(async (client) => {
      await client.query('BEGIN');
      const cursor = client.query(new Cursor('SELECT id FROM readings WHERE id > $1 ORDER BY id', [100]));
      assert.deepEqual((await cursor.read(3)).map((r) => r.id), [101, 102, 103]);
      assert.deepEqual((await cursor.read(2)).map((r) => r.id), [104, 105]);
      await cursor.close();
      await client.query('COMMIT');
      const whole = client.query(new Cursor('SELECT id FROM readings'));
      let count = 0;
      for (let rows; (rows = await whole.read(333)).length > 0;) count += rows.length;
      assert.equal(count, 1000);
      await whole.close();
      const failing = client.query(new Cursor('SELECT 10 / (5 - id) FROM readings ORDER BY id'));
      await fails(failing.read(100), '22012');
      await failing.close();
      assert.equal(await one(client, 'SELECT 1'), 1);
    });
  },

  async stream() {
    await withClient(async (client) => {
      let sum = 0;
      for await (const row of client.query(new QueryStream('SELECT i FROM generate_series(1, $1::int) i', [5000], { batchSize: 64 }))) sum += row.i;
      assert.equal(sum, 12502500);
      for await (const row of client.query(new QueryStream('SELECT id FROM readings ORDER BY id'))) {
        if (row.id === 5) break; // closes the portal early
      }
      assert.equal(await one(client, 'SELECT 1'), 1);
    });
  },

  async transactions() {
    await withClient(async (client) => {
      await client.query('BEGIN');
      await client.query("INSERT INTO pets VALUES (200, 'lost')");
      assert.equal(await one(client, 'SELECT count(*)::int FROM pets WHERE id = 200'), 1);
      await fails(client.query("INSERT INTO pets VALUES (200, 'twice')"), '23505');
      await fails(client.query('SELECT 1'), '25P02');
      await client.query('ROLLBACK');
      assert.equal(await one(client, 'SELECT count(*)::int FROM pets WHERE id = 200'), 0);
      await client.query('BEGIN READ ONLY');
      assert.equal(await one(client, 'SELECT count(*)::int FROM readings'), 1000);
      await fails(client.query('DELETE FROM readings'), '25006');
      await client.query('COMMIT');
    });
  },

  async listen() {
    await withClient(async (client) => {
      const heard = new Promise((resolve) => client.once('notification', resolve));
      await client.query('LISTEN news');
      await withClient((other) => other.query("NOTIFY news, 'hello'"));
      const message = await heard;
      assert.equal(message.payload, 'hello');
      assert.equal(await one(client, 'SELECT count(*)::int FROM readings'), 1000);
    });
  },

  async notices() {
    await withClient(async (client) => {
      const noticed = new Promise((resolve) => client.once('notice', resolve));
      await client.query('DROP TABLE IF EXISTS nowhere');
      assert.match((await noticed).message, /does not exist, skipping/);
    });
  },

  async settings() {
    await withClient(async (client) => {
      assert.equal(await one(client, 'SHOW application_name'), 'the name');
      assert.equal(await one(client, 'SHOW search_path'), 'pg_catalog');
      await fails(client.query('SELECT pg_sleep(20)'), '57014');
      assert.equal(await one(client, 'SELECT count(*)::int FROM public.readings'), 1000);
    }, { application_name: 'the name', options: '-c search_path=pg_catalog', statement_timeout: 300 });
  },

  async values() {
    await withClient(async (client) => {
      const { rows } = await client.query('SELECT $1::jsonb AS j, $2::bytea AS b, $3::int[] AS a, $4::text AS n',
        [{ a: [1, null] }, Buffer.from([0, 255]), [1, 2], null]);
      assert.deepEqual(rows[0], { j: { a: [1, null] }, b: Buffer.from([0, 255]), a: [1, 2], n: null });
      const large = 'x'.repeat(5_000_000);
      assert.equal((await one(client, 'SELECT $1::text', [large])).length, large.length);
    });
  },

  async refused() {
    await fails(withClient(async () => {}, { database: 'nowhere' }), '3D000');
    await fails(withClient(async () => {}, { user: 'nobody_here' }), '28000');
  },
};

(async () => {
  for (const [name, feature] of Object.entries(features)) {
    console.log(name);
    await feature();
  }
})();
