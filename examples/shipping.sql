-- The consumer's side of the examples: the orders to be shipped. It is in the consumer's own database,
-- with the inbox tables.
create table shipment (
    number bigint generated always as identity primary key,
    order_id bigint not null,
    note text not null
);
