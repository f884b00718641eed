// Drizzle: an order and its message in one transaction. drizzle.js PAYLOAD commit|rollback
import { drizzle } from 'drizzle-orm/node-postgres';
import { bigint, pgTable, text } from 'drizzle-orm/pg-core';
import pg from 'pg';

const id = () => bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity();
const orders = pgTable('orders', { id: id(), item: text(), note: text() });
const outbox = pgTable('outbox_new', { // the view that takes INSERT … RETURNING
    id: id(),
    routing_key: text(),
    key: text(),
    content_type: text(),
    payload_text: text(),
});

const pool = new pg.Pool(); // the PG* variables say where
const [payload, outcome] = process.argv.slice(2);
class RolledBack extends Error {}
try {
    await drizzle(pool).transaction(async (tx) => {
        const [order] = await tx.insert(orders).values({ item: 'chair', note: outcome }).returning();
        await tx
            .insert(outbox)
            .values({
                routing_key: 'order.placed',
                key: `order-${order.id}`,
                content_type: 'application/json',
                payload_text: payload,
            })
            .returning();
        if (outcome !== 'commit') {
            throw new RolledBack();
        }
    });
} catch (error) {
    if (!(error instanceof RolledBack)) {
        throw error;
    }
}
await pool.end();
