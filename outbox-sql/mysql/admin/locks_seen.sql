-- Whether the performance schema tells who has which metadata lock (explain_writers_schema.sql): if it is off, or this instrument, as on
-- MariaDB by default, it only seems that nobody has one.
select count(*)
from performance_schema.setup_instruments
where name = 'wait/lock/metadata/sql/mdl'
    and enabled = 'YES'
