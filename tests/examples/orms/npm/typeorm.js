// TypeORM: an order and its message in one transaction. typeorm.js PAYLOAD commit|rollback
import 'reflect-metadata';
import typeorm from 'typeorm';

const text = { type: 'text', nullable: true };
const id = { type: 'bigint', primary: true, generated: 'increment' };
const Order = new typeorm.EntitySchema({ name: 'orders', columns: { id, item: text, note: text } });
const Outbox = new typeorm.EntitySchema({
    name: 'outbox_new', // the view that takes INSERT … RETURNING
    columns: { id, routing_key: text, key: text, content_type: text, payload_text: text },
});
const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;
const source = await new typeorm.DataSource({
    type: 'postgres',
    host: PGHOST,
    port: Number(PGPORT),
    username: PGUSER,
    password: PGPASSWORD,
    database: PGDATABASE,
    entities: [Order, Outbox],
}).initialize();

const [payload, outcome] = process.argv.slice(2);
class RolledBack extends Error {}
try {
    await source.transaction(async (manager) => {
        const order = await manager.save(Order, { item: 'chair', note: outcome });
        await manager.save(Outbox, {
            routing_key: 'order.placed',
            key: `order-${order.id}`,
            content_type: 'application/json',
            payload_text: payload,
        });
        if (outcome !== 'commit') {
            throw new RolledBack();
        }
    });
} catch (error) {
    if (!(error instanceof RolledBack)) {
        throw error;
    }
}
await source.destroy();
