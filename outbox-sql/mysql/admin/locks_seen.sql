-- Whether the performance schema shows who has which metadata lock (explain_writers_schema.sql). If it is off, or this
-- instrument is off, as in MariaDB by default, it looks as if nobody had one.
select count(*)
from performance_schema.setup_instruments
where name = 'wait/lock/metadata/sql/mdl'
    and enabled = 'YES'
