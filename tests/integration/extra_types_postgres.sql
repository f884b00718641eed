-- An outbox with columns of all kinds, for PostgreSQL, and six messages of the key k. There are more types than these,
-- but each other one is written like one of these. A column that is NOT NULL without a default is among them.
create type mood as enum ('fine', 'it''s "so" so');
create type pair as (a int, b text);
create domain shout as text check (value = upper(value));
alter table outbox add tenant int not null, add "q""uoted 'name'" text,
    add c char(5), add v varchar(3), add n numeric, add f float8, add r real, add b bytea,
    add bits varbit, add one bit(3), add j json, add jb jsonb, add x xml, add d date,
    add ts timestamp, add tz timestamptz, add i interval, add t timetz, add money money,
    add ints int[], add texts text[], add m mood, add ms mood[], add p pair, add ps pair[],
    add s shout, add net inet, add block cidr, add pt point, add span tstzrange,
    add doc tsvector, add path jsonpath, add reg regclass, add ch "char", add u uuid,
    add extra text, add state text, add moved int default 7, add flag boolean,
    add twice int generated always as (tenant * 2) stored;

insert into outbox (key, payload, tenant, "q""uoted 'name'", c, v, n, f, r, b, bits, one, j, jb, x, d, ts, tz, i, t, money, ints,
    texts, m, ms, p, ps, s, net, block, pt, span, doc, path, reg, ch, u, extra, state, moved, flag) values
    ('k', '1', 1, E'a\'b"c\\d\ne\u00e9', 'ab', 'ab ', 1.10, 0.1 + 0.2, 1.1, '\x00ff5c',
    '10110', '101', ' { "a" :  1.0, "a": 2 } ', '{"a": 1.10}',
    '<a  b="c">&amp;</a>', '0044-03-15 BC', 'infinity', '2001-02-03 04:05:06.789012+05:30',
    '-1 year +2 days -03:04:05.678', '04:05:06.7+05:30', (-1234.5)::numeric::money,
    '[0:1][-1:0]={{1,null},{3,4}}', array['null', null, '', 'a,b', E'"\\'],
    'it''s "so" so', array['fine']::mood[], row(null, 'x, "y"'),
    array[row(1, null), null]::pair[], 'LOUD', '10.1.2.3/24', '10.0.0.0/8', '(1e-300,2)',
    '[2001-01-01 00:00:00.000001+00,)', 'a:1A ''it''''s'':2', '$.a ? (@ > 1)',
    'outbox_held', 'x', gen_random_uuid(), '', 'dead', null, true),
    ('k', '2', 2, null, null, null, 'NaN', '-infinity', 'NaN', '', '', null, 'null', 'null',
    null, null, null, null, null, null, null, '{}', '{}', null, '{}', row(null, null), null,
    null, null, null, null, 'empty', '', null, null, '', null, null, null, 0, false);
insert into outbox (key, payload, tenant, extra) select 'k', 'x', n, repeat('y', 1000000) from generate_series(3, 6) n;

create table before_it as select * from outbox;
create view unchanged as select id from outbox join before_it using (id) where outbox::text = before_it::text;
create view held_with_generated as select id from outbox_held where extra ? 'twice';

-- Sessions that begin later inherit these settings.
do $$
declare
    setting text;
begin
    foreach setting in array array['datestyle = "SQL, DMY"', 'intervalstyle = sql_standard', 'timezone = "Asia/Kolkata"',
        'extra_float_digits = -15', 'bytea_output = escape', 'xmloption = document', 'array_nulls = off',
        'standard_conforming_strings = off']
    loop
        execute format('alter database %I set %s', current_database(), setting);
    end loop;
end
$$;
