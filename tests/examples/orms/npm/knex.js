// Knex: an order and its message in one transaction. knex.js PAYLOAD commit|rollback
import makeKnex from 'knex';

const knex = makeKnex({ client: 'pg', connection: {} }); // the PG* variables say where
const [payload, outcome] = process.argv.slice(2);
const transaction = await knex.transaction();
const [{ id }] = await transaction('orders').insert({ item: 'chair', note: outcome }).returning('id');
await transaction('outbox_new') // the view that takes INSERT … RETURNING
    .insert({ routing_key: 'order.placed', key: `order-${id}`, content_type: 'application/json', payload_text: payload })
    .returning('*');
await (outcome === 'commit' ? transaction.commit() : transaction.rollback());
await knex.destroy();
