// Prisma: an order and its message in one transaction. prisma.js PAYLOAD commit|rollback
import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from '@prisma/client';

const prisma = new PrismaClient({ adapter: new PrismaPg({}) }); // the PG* variables say where
const [payload, outcome] = process.argv.slice(2);
class RolledBack extends Error {}
try {
    await prisma.$transaction(async (tx) => {
        const order = await tx.orders.create({ data: { item: 'chair', note: outcome } });
        await tx.outbox_new.create({
            data: {
                routing_key: 'order.placed',
                key: `order-${order.id}`,
                content_type: 'application/json',
                payload_text: payload,
            },
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
await prisma.$disconnect();
