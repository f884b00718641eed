-- The bank that money leaves. `sequence` counts the transfers of an account.
create table account (
    id integer primary key,
    balance bigint not null,
    sequence bigint not null default 0
);
create table transfer (
    account integer not null references account,
    sequence bigint not null,
    amount bigint not null,
    primary key (account, sequence)
);
insert into account (id, balance) select n, 1000000 from generate_series(1, 20) as n;

-- What all accounts of this bank had at the start.
create table opening as select sum(balance)::bigint as total from account;
