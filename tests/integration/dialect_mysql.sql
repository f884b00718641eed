-- Functions by which the tests write one SQL for both kinds of database: those that MariaDB and MySQL do not have.
-- Loaded into a test's database before the outbox.
create function bytes(words longtext) returns longblob deterministic no sql return convert(words using utf8mb4);
create function as_headers(words longtext) returns longtext deterministic no sql return words;
create function header_of(headers longtext, name varchar(255)) returns longtext character set utf8mb4 collate utf8mb4_bin deterministic no sql
return json_unquote(json_extract(headers, concat('$."', name, '"')));
create function as_id(words char(36)) returns binary(16) deterministic no sql return unhex(replace(words, '-', ''));
create function id_text(id binary(16)) returns char(36) deterministic no sql
return lower(insert(insert(insert(insert(hex(id), 21, 0, '-'), 17, 0, '-'), 13, 0, '-'), 9, 0, '-'));
create function new_id() returns binary(16) not deterministic no sql return unhex(replace(uuid(), '-', ''));

-- The hash by which the relay knows a key.
create function hash_of(words longtext) returns bigint deterministic no sql
return cast(conv(left(sha2(words, 256), 15), 16, 10) as signed);

-- A time this many seconds from now; negative: ago.
create function from_now(seconds double) returns datetime(6) not deterministic no sql
return utc_timestamp(6) + interval seconds second;

-- The microseconds since 1970 of a time, and the reverse.
create function epoch_us(at datetime(6)) returns bigint deterministic no sql
return timestampdiff(microsecond, '1970-01-01', at);
create function at_us(us bigint) returns datetime(6) deterministic no sql
return timestamp '1970-01-01 00:00:00' + interval us microsecond;

-- The time in UTC that the text shows.
create function as_time(words varchar(30)) returns datetime(6) deterministic no sql return words;

-- The first and the last time that an outbox accepts. (ALWAYS and NEVER are reserved words of MySQL.)
create function first_time() returns datetime(6) deterministic no sql return '1970-01-01';
create function last_time() returns datetime(6) deterministic no sql return '9999-12-31 23:59:59.999999';

-- For an order that is random, but the same each time. (MySQL 9.7 no longer has md5().)
create function digest(words longtext) returns char(64) deterministic no sql return sha2(words, 256);

-- More than anybody should read. All of it is written to the disk, and to two logs.
create function huge_headers() returns longtext deterministic no sql return concat('{"a": "', repeat('x', 24 << 20), '"}');
create function huge_text() returns longtext deterministic no sql return repeat('x', 4 << 20);
