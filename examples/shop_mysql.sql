-- The producer's side of the examples in MariaDB or MySQL: a shop, in the same database as the outbox tables.
create table stock (
    item varchar(100) primary key,
    pieces int not null check (pieces >= 0)
) engine = InnoDB;
create table orders (
    id bigint auto_increment primary key,
    item varchar(100) not null,
    note text not null,
    foreign key (item) references stock (item)
) engine = InnoDB;
