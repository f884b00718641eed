#!/usr/bin/env php
<?php
// Ships what was ordered: each message has its effect once, whatever happens to the servers or to this process.
//
//     consumer.php AMQP_URL QUEUE
//
// The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE. Ends on SIGTERM, after the
// message in hand.
declare(strict_types=1);

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPTimeoutException;
use PhpAmqpLib\Message\AMQPMessage;

require file_exists(__DIR__ . '/vendor/autoload.php') ? __DIR__ . '/vendor/autoload.php' : 'PhpAmqpLib/autoload.php';

const CONSUMER = 'shipping'; // its name in the inbox: each effect needs its own
const ATTEMPTS = 3;

// A message that can never be applied.
final class Hopeless extends RuntimeException
{
}

// The effect, in the same transaction as the inbox row.
function apply(PDO $db, string $body): void
{
    $message = json_decode($body, true);
    if (!is_int($message['order'] ?? null) || !is_string($message['note'] ?? null)) {
        throw new Hopeless('not an order');
    }
    $db->prepare('insert into shipment (order_id, note) values (?, ?)')->execute([$message['order'], $message['note']]);
}

// Applies a message, if it was not applied before. It is committed when this returns.
function handle(PDO $db, string $id, string $body): void
{
    $db->beginTransaction();
    try {
        $seen = $db->prepare('insert into inbox (consumer, message_id) values (?, ?) on conflict do nothing');
        $seen->execute([CONSUMER, $id]);
        if ($seen->rowCount() === 1) {
            apply($db, $body);
        }
        $db->commit();
    } catch (Throwable $error) {
        if ($db->inTransaction()) {
            $db->rollBack();
        }
        throw $error;
    }
}

// Whether the session still exists: with PDO, only a query can tell.
function alive(PDO $db): bool
{
    try {
        return $db->query('select 1') !== false;
    } catch (PDOException) {
        return false;
    }
}

// True: applied. False: it cannot be applied, and goes to the dead letters. An outage is an exception.
function accept(PDO $db, AMQPMessage $message): bool
{
    if (!$message->has('message_id')) {
        return false;
    }
    $id = $message->get('message_id');
    for ($attempt = 1; $attempt <= ATTEMPTS; $attempt++) {
        try {
            handle($db, $id, $message->getBody());
            return true;
        } catch (Hopeless | PDOException $error) {
            if ($error instanceof PDOException && !alive($db)) {
                throw $error; // an outage, not the message's fault
            }
            fwrite(STDERR, "attempt $attempt of " . ATTEMPTS . ": $id: {$error->getMessage()}\n");
            // SQLSTATE classes 22 and 23: this body can never be applied.
            if ($error instanceof Hopeless || in_array(substr((string) $error->getCode(), 0, 2), ['22', '23'], true)) {
                return false;
            }
            sleep($attempt);
        }
    }
    return false;
}

function connect(string $url): AMQPStreamConnection
{
    $part = parse_url($url);
    $vhost = rawurldecode(substr($part['path'] ?? '/', 1));
    return new AMQPStreamConnection(
        $part['host'],
        (string) ($part['port'] ?? 5672),
        rawurldecode($part['user'] ?? 'guest'),
        rawurldecode($part['pass'] ?? 'guest'),
        $vhost === '' ? '/' : $vhost,
    );
}

function consume(PDO $db, string $url, string $queue, bool &$stopping): void
{
    $connection = connect($url);
    try {
        work($connection->channel(), $db, $queue, $stopping);
    } finally {
        // Without a cancel before it, so that all unacknowledged messages go back at once, in order.
        try {
            $connection->close();
        } catch (Exception) {
            // the connection was lost before
        }
    }
}

// One message at a time, until it is told to stop.
function work(AMQPChannel $channel, PDO $db, string $queue, bool &$stopping): void
{
    $channel->basic_qos(0, 100, false);
    $channel->basic_consume($queue, '', false, false, false, false,
        function (AMQPMessage $message) use ($db, &$stopping): void {
            if ($stopping) {
                return; // it goes back to the queue
            }
            if (accept($db, $message)) {
                $message->ack(); // only after the commit
            } else {
                $message->reject(false);
            }
        });
    while (!$stopping) {
        try {
            $channel->wait(null, false, 0.2);
        } catch (AMQPTimeoutException) {
            // no message came in time
        }
    }
}

if ($argc !== 3) {
    fwrite(STDERR, "usage: consumer.php AMQP_URL QUEUE\n");
    exit(64);
}
$stopping = false;
pcntl_async_signals(true);
foreach ([SIGTERM, SIGINT] as $signal) {
    pcntl_signal($signal, function () use (&$stopping): void {
        $stopping = true;
    });
}
while (!$stopping) {
    try {
        $db = new PDO('pgsql:application_name=shipping'); // before it asks for messages
        consume($db, $argv[1], $argv[2], $stopping);
    } catch (Exception $error) {
        fwrite(STDERR, 'outage, next try in a second: ' . get_class($error) . ": {$error->getMessage()}\n");
        sleep(1);
    }
}
