#!/usr/bin/env node
// Ships what was ordered: each message has its effect once, whatever happens to the servers or to this process.
//
//     consumer.js AMQP_URL QUEUE
//
// The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE. Ends on SIGTERM, after the
// message in hand.
import { setTimeout as sleep } from 'node:timers/promises';
import amqp from 'amqplib';
import pg from 'pg';

const CONSUMER = 'shipping'; // its name in the inbox: each effect needs its own
const ATTEMPTS = 3;
const stopping = new AbortController();

// A message that can never be applied.
class Hopeless extends Error {}

// The effect, in the same transaction as the inbox row.
async function apply(db, body) {
    let message;
    try {
        message = JSON.parse(body.toString('utf8'));
    } catch {
        throw new Hopeless('not JSON');
    }
    if (!Number.isInteger(message?.order) || typeof message.note !== 'string') {
        throw new Hopeless('not an order');
    }
    await db.query('insert into shipment (order_id, note) values ($1, $2)', [message.order, message.note]);
}

// Applies a message, if it was not applied before. It is committed when this returns.
async function handle(db, id, body) {
    await db.query('begin');
    try {
        const seen = await db.query('insert into inbox (consumer, message_id) values ($1, $2) on conflict do nothing', [
            CONSUMER,
            id,
        ]);
        if (seen.rowCount === 1) {
            await apply(db, body);
        }
        await db.query('commit');
    } catch (error) {
        await db.query('rollback'); // if the session is gone this fails, which reports the outage
        throw error;
    }
}

// SQLSTATE classes 22 and 23: this body can never be applied.
function hopeless(error) {
    return error instanceof Hopeless || /^2[23]/.test(error.code ?? '');
}

// True: applied. False: it cannot be applied, and goes to the dead letters. An outage is an exception.
async function accept(db, message) {
    const id = message.properties.messageId;
    if (!id) {
        return false;
    }
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        try {
            await handle(db, id, message.content);
            return true;
        } catch (error) {
            if (!hopeless(error) && !(error instanceof pg.DatabaseError && error.severity !== 'FATAL')) {
                throw error; // an outage, not the message's fault
            }
            console.error(`attempt ${attempt} of ${ATTEMPTS}: ${id}: ${error.message}`);
            if (hopeless(error)) {
                return false;
            }
            await sleep(attempt * 1000);
        }
    }
    return false;
}

// One message at a time. Ends when it is told to stop; throws at an outage.
async function work(db, channel, queue, lost) {
    const inbound = [];
    let wake = () => {};
    await channel.prefetch(100);
    await channel.consume(queue, (message) => {
        inbound.push(message);
        wake();
    });
    lost.catch(() => wake());
    stopping.signal.addEventListener('abort', () => wake(), { once: true });
    while (!stopping.signal.aborted) {
        const message = inbound.shift();
        if (message === undefined) {
            await Promise.race([lost, new Promise((resolve) => (wake = resolve))]);
        } else if (message === null) {
            throw new Error('the queue has gone');
        } else if (await accept(db, message)) {
            channel.ack(message); // only after the commit
        } else {
            channel.reject(message, false);
        }
    }
}

// Rejects at the first of these events: the connection was closed, or has failed.
function end(emitter, events) {
    const lost = new Promise((_, reject) => {
        for (const event of events) {
            emitter.on(event, (error) => reject(error ?? new Error('a connection has ended')));
        }
    });
    lost.catch(() => {}); // those who await it get the rejection; until then it must not count as unhandled
    return lost;
}

async function consume(url, queue) {
    const db = new pg.Client();
    const databaseLost = end(db, ['end', 'error']);
    let broker;
    try {
        await db.connect(); // before it asks for messages
        broker = await amqp.connect(url);
        const channel = await broker.createChannel();
        const lost = Promise.race([databaseLost, end(broker, ['close', 'error']), end(channel, ['close', 'error'])]);
        await work(db, channel, queue, lost);
    } finally {
        // Without a cancel before it, so that all unacknowledged messages go back at once, in order.
        await broker?.close().catch(() => {});
        await db.end().catch(() => {});
    }
}

const [url, queue] = process.argv.slice(2);
if (queue === undefined) {
    console.error('usage: consumer.js AMQP_URL QUEUE');
    process.exit(64);
}
for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => stopping.abort());
}
while (!stopping.signal.aborted) {
    try {
        await consume(url, queue);
    } catch (error) {
        console.error(`outage, next try in a second: ${error.message}`);
        await sleep(1000);
    }
}
