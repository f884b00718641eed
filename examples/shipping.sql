-- The consumer's side of the examples: what is to be shipped. Beside the inbox tables, in the consumer's own database.
create table shipment (
    number bigint generated always as identity primary key,
    order_id bigint not null,
    note text not null
);
