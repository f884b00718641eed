#!/usr/bin/env php
<?php
// Places an order and announces it, in one transaction.
//
//     producer.php ITEM NOTE
//
// The environment says where the database is: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
declare(strict_types=1);

// Everything is committed or nothing: an exception rolls back, and no message about the order is sent.
function place_order(PDO $db, string $item, string $note): int
{
    $db->beginTransaction();
    try {
        $insert = $db->prepare('insert into orders (item, note) values (?, ?) returning id');
        $insert->execute([$item, $note]);
        $order = (int) $insert->fetchColumn();
        $db->prepare('insert into outbox (routing_key, key, type, content_type, payload_text) values (?, ?, ?, ?, ?)')
            ->execute([
                'order.placed',
                "order-$order", // messages of one key arrive in order
                'order.placed',
                'application/json',
                json_encode(['order' => $order, 'note' => $note], JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE),
            ]);
        $db->prepare('update stock set pieces = pieces - 1 where item = ?')->execute([$item]); // fails if none is left
        $db->commit();
        return $order;
    } catch (Throwable $error) {
        $db->rollBack();
        throw $error;
    }
}

if ($argc !== 3) {
    fwrite(STDERR, "usage: producer.php ITEM NOTE\n");
    exit(64);
}
// libpq reads the PG* variables, but PDO does not accept an empty dsn.
echo place_order(new PDO('pgsql:application_name=shop'), $argv[1], $argv[2]), "\n";
