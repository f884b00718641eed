-- The producer's side of the examples: a shop, in the same database as the outbox tables.
create table stock (
    item text primary key,
    pieces integer not null check (pieces >= 0)
);
create table orders (
    id bigint generated always as identity primary key,
    item text not null references stock,
    note text not null
);
