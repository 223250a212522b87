// A session of node-postgres, told what to do by lines of JSON: {"sql": ..., "args": [...]}, answered by lines of JSON.
// Argument: the connection string, of words like host=127.0.0.1.
'use strict';
const readline = require('node:readline');
const { Client } = require('pg');

async function main() {
  const { host, port, user, dbname } = Object.fromEntries(process.argv[2].split(' ').map((word) => word.split('=')));
  const client = new Client({ host, port: Number(port), user, database: dbname });
  let closed = false;
  client.on('end', () => { closed = true; });
  client.on('error', () => { closed = true; });
  await client.connect();
  const tell = (answer) => process.stdout.write(`${JSON.stringify({ ...answer, closed })}\n`);
  tell({});
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { sql, args } = JSON.parse(line);
    try {
      const { rows } = await client.query({ text: sql, values: args ?? [], rowMode: 'array' });
      tell(rows.length > 0 ? { value: Number(rows[0][0]) } : {});
    } catch (error) {
      tell({ error: error.message, code: error.code ?? '' });
    }
  }
  await client.end();
}

main();
