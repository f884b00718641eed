// pg-transactional-outbox, its polling listener with a confirm channel as handler, as its README sets it up.
'use strict';
const amqp = require('amqplib');
const { DatabaseSetup, getDisabledLogger, initializePollingMessageListener } = require('pg-transactional-outbox');

const table = {
  outboxOrInbox: 'outbox', database: process.env.PGDATABASE, schema: 'public', table: 'outbox',
  listenerRole: process.env.PGUSER, nextMessagesName: 'next_outbox_messages',
};

async function main() {
  if (process.argv[2] === 'sql') { // the table, for the bench
    console.log(DatabaseSetup.dropAndCreateTable(table) + DatabaseSetup.createPollingFunction(table)
      + DatabaseSetup.setupPollingIndexes(table));
    return;
  }
  const connection = await amqp.connect(process.env.AMQP_URI);
  const channel = await connection.createConfirmChannel();
  for (const emitter of [connection, channel]) {
    emitter.on('error', (error) => { console.error(error); process.exit(1); });
    emitter.on('close', () => process.exit(1));
  }
  const handle = (message) => new Promise((resolve, reject) => {
    channel.publish('peers', message.messageType, Buffer.from(JSON.stringify(message.payload)),
      { persistent: true, messageId: message.id }, (error) => (error ? reject(error) : resolve()));
  });
  initializePollingMessageListener({
    outboxOrInbox: 'outbox',
    dbListenerConfig: {
      host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER,
      password: process.env.PGPASSWORD, database: process.env.PGDATABASE,
    },
    settings: {
      dbSchema: 'public', dbTable: 'outbox', nextMessagesFunctionName: 'next_outbox_messages',
      nextMessagesBatchSize: 500, nextMessagesPollingIntervalInMs: 50,
      enableMaxAttemptsProtection: false, enablePoisonousMessageProtection: false,
    },
  }, { handle }, getDisabledLogger());
}

main().catch((error) => { console.error(error); process.exit(1); });
