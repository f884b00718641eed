// What a team writes in an afternoon: SKIP LOCKED, confirms, delete. Whatever fails ends it; a supervisor starts it again.
'use strict';
const amqp = require('amqplib');
const { Client } = require('pg');

const BATCH = 500;
const IDLE_MS = 50;

async function forward(database, channel) {
  await database.query('begin');
  const { rows } = await database.query({
    name: 'next',
    text: 'select id, route, payload from outbox order by id limit $1 for update skip locked',
    values: [BATCH],
  });
  for (const row of rows) {
    channel.publish('peers', row.route, Buffer.from(row.payload), { persistent: true, messageId: row.id });
  }
  await channel.waitForConfirms();
  await database.query({
    name: 'done', text: 'delete from outbox where id = any($1::int8[])', values: [rows.map((row) => row.id)],
  });
  await database.query('commit');
  return rows.length;
}

async function main() {
  const database = new Client(); // libpq's variables
  await database.connect();
  const connection = await amqp.connect(process.env.AMQP_URI);
  const channel = await connection.createConfirmChannel();
  for (const emitter of [database, connection, channel]) {
    emitter.on('error', (error) => { throw error; });
  }
  channel.on('close', () => process.exit(1));
  for (;;) {
    if (await forward(database, channel) === 0) {
      await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    }
  }
}

main().catch((error) => { console.error(error); process.exit(1); });
