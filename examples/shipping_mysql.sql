-- The consumer's side of the examples in MariaDB or MySQL: the orders to be shipped. It is in the consumer's own
-- database, with the inbox tables.
create table shipment (
    number bigint auto_increment primary key,
    order_id bigint not null,
    note text not null
) engine = InnoDB;
