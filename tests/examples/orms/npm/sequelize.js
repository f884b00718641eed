// Sequelize: an order and its message in one transaction. sequelize.js PAYLOAD commit|rollback
import { DataTypes, Sequelize } from 'sequelize';

const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;
const sequelize = new Sequelize(PGDATABASE, PGUSER, PGPASSWORD, {
    host: PGHOST,
    port: Number(PGPORT),
    dialect: 'postgres',
    logging: false,
    define: { timestamps: false, freezeTableName: true },
});
const id = { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true };
const Order = sequelize.define('orders', { id, item: DataTypes.TEXT, note: DataTypes.TEXT });
const Outbox = sequelize.define('outbox_new', { // the view that takes INSERT … RETURNING
    id,
    routing_key: DataTypes.TEXT,
    key: DataTypes.TEXT,
    content_type: DataTypes.TEXT,
    payload_text: DataTypes.TEXT,
});

const [payload, outcome] = process.argv.slice(2);
const transaction = await sequelize.transaction();
const order = await Order.create({ item: 'chair', note: outcome }, { transaction });
await Outbox.create(
    { routing_key: 'order.placed', key: `order-${order.id}`, content_type: 'application/json', payload_text: payload },
    { transaction },
);
await (outcome === 'commit' ? transaction.commit() : transaction.rollback());
await sequelize.close();
