-- A bank, in PostgreSQL, MariaDB or MySQL. What leaves an account is in `transfer`, what comes to it from the other bank in
-- `entry`.
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

-- `number` grows in the order in which entries of an account were made, since it is taken under the lock on the account.
-- Nothing here refuses a second entry for a transfer: that is the inbox's work.
create table entry (
    number serial primary key,
    account integer not null,
    sequence bigint not null, -- of the transfer, in the other bank
    amount bigint not null,
    foreign key (account) references account (id)
);

-- What all accounts of this bank had at the start.
create table opening as select sum(balance) as total from account;
