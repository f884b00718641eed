-- An outbox with columns of all kinds, for MariaDB and MySQL, and six messages of the key k. There are more types than
-- these, but each other one is written like one of these. A column that is NOT NULL without a default is among them.
-- The writer's time zone and sql_mode differ from the relay's.
set time_zone = '+02:00';
alter table outbox add tenant int not null, add `q"uot``ed \ 'n@me'` text,
    add c char(5), add v varchar(3) character set latin1, add b tinyint(1), add u bigint unsigned, add n decimal(65, 30),
    add f float, add d double, add bits bit(64), add one bit(3), add bin binary(4), add vbin varbinary(10), add blo mediumblob,
    add js json, add da date, add dt datetime(3), add ts timestamp(6) null, add ti time(6), add y year,
    add e enum('fine', 'it''s "so"'), add s set('x', 'y'), add p point, add g geometry, add extra longtext, add state text,
    add moved int default 7, add made varchar(40) default (concat('made ', 'here')),
    add twice int generated always as (tenant * 2) stored,
    add thrice int generated always as (tenant * 3) virtual;

insert into outbox (`key`, payload, tenant, `q"uot``ed \ 'n@me'`, c, v, b, u, n, f, d, bits, one, bin, vbin, blo, js, da, dt, ts,
    ti, y, e, s, p, g, extra, state, moved, made) values
    ('k', '1', 1, concat('a''b"c', char(92), 'd', char(10), char(0), char(1), x'c3a9f09f9880'), 'ab',
    concat('a ', convert(x'e9' using latin1)), 1, 18446744073709551615,
    -12345678901234567890123456789012345.123456789012345678901234567890, 16777217.1e-3, 0.1e0 + 0.2e0,
    b'1111111111111111111111111111111111111111111111111111111111111110', b'101', x'00ff', x'ff005c27', repeat(x'80ff', 30000),
    concat('{"a": [1.5, null, "x', repeat(char(92 using utf8mb4), 2), '"]}'), '1000-01-01', '9999-12-31 23:59:59.999',
    '2026-10-25 00:30:00.123456', '-838:59:58.999999', 2155, 'it''s "so"', 'x,y',
    st_geomfromtext('point(1 2)'), st_geomfromtext('linestring(0 0, 1e-300 3)'), 'null', 'dead', null, null),
    ('k', '2', 2, null, null, null, null, 0, 0, 1.1e-38, -0.0e0, b'0', b'0', '', '', '',
    'null', null, null, null, '00:00:00', null, null, '', null, null, null, '', 0, '');
insert into outbox (`key`, payload, tenant, extra) values ('k', 'x', 3, repeat('y', 1000000)), ('k', 'x', 4, repeat(char(1), 100000)),
    ('k', 'x', 5, repeat('"', 100000)), ('k', 'x', 6, repeat(x'f09f9880', 100000));

create table before_it as select * from outbox;
-- Each row's values, in a form in which different values always look different.
create view unchanged as
select id from outbox join before_it using (id)
where outbox.tenant <=> before_it.tenant
    and hex(outbox.`q"uot``ed \ 'n@me'`) <=> hex(before_it.`q"uot``ed \ 'n@me'`)
    and hex(outbox.c) <=> hex(before_it.c)
    and hex(outbox.v) <=> hex(before_it.v)
    and outbox.b <=> before_it.b
    and outbox.u <=> before_it.u
    and outbox.n <=> before_it.n
    and outbox.f <=> before_it.f
    and outbox.d <=> before_it.d
    and (outbox.tenant <> 1 or outbox.d = 0.1e0 + 0.2e0)
    and outbox.bits <=> before_it.bits
    and outbox.one <=> before_it.one
    and hex(outbox.bin) <=> hex(before_it.bin)
    and hex(outbox.vbin) <=> hex(before_it.vbin)
    and sha2(outbox.blo, 256) <=> sha2(before_it.blo, 256)
    and cast(outbox.js as char) <=> cast(before_it.js as char)
    and outbox.da <=> before_it.da
    and outbox.dt <=> before_it.dt
    and outbox.ts <=> before_it.ts
    and outbox.ti <=> before_it.ti
    and outbox.y <=> before_it.y
    and outbox.e <=> before_it.e
    and outbox.s <=> before_it.s
    and hex(outbox.p) <=> hex(before_it.p)
    and hex(outbox.g) <=> hex(before_it.g)
    and outbox.extra <=> before_it.extra
    and outbox.state <=> before_it.state
    and outbox.moved <=> before_it.moved
    and outbox.made <=> before_it.made
    and outbox.twice = 2 * outbox.tenant
    and outbox.thrice = 3 * outbox.tenant
    and outbox.payload = before_it.payload;
create view held_with_generated as
select id from outbox_held where json_contains_path(extra, 'one', '$.twice', '$.thrice');
