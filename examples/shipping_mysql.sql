-- The consumer's side of the examples in MariaDB or MySQL: what is to be shipped. Beside the inbox tables, in the consumer's own
-- database.
create table shipment (
    number bigint auto_increment primary key,
    order_id bigint not null,
    note text not null
) engine = InnoDB;
