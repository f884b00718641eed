#!/usr/bin/env node
// Places an order and announces it, in one transaction.
//
//     producer.js ITEM NOTE
//
// The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
import pg from 'pg';

// Everything is committed or nothing: an exception rolls back, and no message about the order is sent.
async function placeOrder(db, item, note) {
    await db.query('begin');
    try {
        const inserted = await db.query('insert into orders (item, note) values ($1, $2) returning id', [item, note]);
        const order = Number(inserted.rows[0].id);
        await db.query(
            'insert into outbox (routing_key, key, type, content_type, payload_text) values ($1, $2, $3, $4, $5)',
            // messages of one key arrive in order
            ['order.placed', `order-${order}`, 'order.placed', 'application/json', JSON.stringify({ order, note })],
        );
        await db.query('update stock set pieces = pieces - 1 where item = $1', [item]); // fails if none is left
        await db.query('commit');
        return order;
    } catch (error) {
        await db.query('rollback');
        throw error;
    }
}

const [item, note] = process.argv.slice(2);
if (note === undefined) {
    console.error('usage: producer.js ITEM NOTE');
    process.exit(64);
}
const db = new pg.Client();
await db.connect();
try {
    console.log(await placeOrder(db, item, note));
} finally {
    await db.end();
}
