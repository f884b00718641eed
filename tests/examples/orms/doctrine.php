<?php
// Doctrine: an order and its message in one transaction. doctrine.php PAYLOAD commit|rollback
declare(strict_types=1);

use Doctrine\DBAL\DriverManager;
use Doctrine\ORM\EntityManager;
use Doctrine\ORM\Mapping as ORM;
use Doctrine\ORM\ORMSetup;

require 'Doctrine/ORM/autoload.php';
require 'Symfony/Component/Cache/autoload.php';

#[ORM\Entity, ORM\Table(name: 'orders')]
class Order
{
    #[ORM\Id, ORM\Column(type: 'bigint'), ORM\GeneratedValue(strategy: 'IDENTITY')]
    public $id;

    #[ORM\Column(type: 'text')]
    public string $item;

    #[ORM\Column(type: 'text')]
    public string $note;
}

// The view that takes INSERT … RETURNING. The message id is the id of the object: it is known before the row is.
#[ORM\Entity, ORM\Table(name: 'outbox_new')]
class Outbox
{
    #[ORM\Id, ORM\Column(type: 'guid', name: 'message_id')]
    public string $messageId;

    #[ORM\Column(type: 'text', name: 'routing_key')]
    public string $routingKey;

    #[ORM\Column(type: 'text', name: '`key`')]
    public string $key;

    #[ORM\Column(type: 'text', name: 'content_type')]
    public string $contentType;

    #[ORM\Column(type: 'text', name: 'payload_text')]
    public ?string $payloadText;
}

[, $payload, $outcome] = $argv;
$config = ORMSetup::createAttributeMetadataConfiguration([__DIR__], true);
$connection = DriverManager::getConnection([
    'driver' => 'pdo_pgsql',
    'host' => getenv('PGHOST'),
    'port' => (int) getenv('PGPORT'),
    'user' => getenv('PGUSER'),
    'password' => getenv('PGPASSWORD'),
    'dbname' => getenv('PGDATABASE'),
], $config);
$manager = new EntityManager($connection, $config);

$connection->beginTransaction();
$order = new Order();
[$order->item, $order->note] = ['chair', $outcome];
$manager->persist($order);
$manager->flush();
$message = new Outbox();
$message->messageId = $connection->fetchOne('select gen_random_uuid()');
[$message->routingKey, $message->key] = ['order.placed', "order-{$order->id}"];
[$message->contentType, $message->payloadText] = ['application/json', $payload];
$manager->persist($message);
$manager->flush();
if ($outcome === 'commit') {
    $connection->commit();
} else {
    $connection->rollBack();
}
