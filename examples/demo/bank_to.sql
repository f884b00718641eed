-- The bank that money comes to. `number` grows in the order in which entries of an account were made, since it is taken
-- under the lock on the account. Nothing here refuses a second entry for a transfer: that is the inbox's work.
create table account (
    id integer primary key,
    balance bigint not null
);
create table entry (
    number bigint generated always as identity primary key,
    account integer not null references account,
    sequence bigint not null,
    amount bigint not null
);
insert into account (id, balance) select n, 0 from generate_series(1, 20) as n;
create table opening as select sum(balance)::bigint as total from account;
