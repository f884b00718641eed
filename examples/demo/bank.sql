-- A bank, in PostgreSQL, MariaDB or MySQL. Money that leaves an account is in `transfer`, money that comes from the other
-- bank in `entry`.
create table account (
    id integer primary key,
    balance bigint not null,
    sequence bigint not null default 0 -- of its latest transfer
);
insert into account (id, balance)
    with recursive number (n) as (select 1 union all select n + 1 from number where n < 20)
    select n, 1000000 from number;

create table transfer (
    account integer not null,
    sequence bigint not null,
    amount bigint not null,
    primary key (account, sequence),
    foreign key (account) references account (id)
);

-- `number` grows in the order of an account's entries, because it is taken while the account is locked. Nothing here refuses
-- a second entry for a transfer: that is the inbox's task.
create table entry (
    number serial primary key,
    account integer not null,
    sequence bigint not null, -- of the transfer, in the other bank
    amount bigint not null,
    foreign key (account) references account (id)
);

-- The sum of all accounts of this bank at the start.
create table opening as select sum(balance) as total from account;
