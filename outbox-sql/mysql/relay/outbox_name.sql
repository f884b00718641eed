-- Which outbox of all this is: by server (@server), database, and when the table was made. The time tells apart what server.sql
-- does not, and servers that are copies of one another. NULL if one of these is not known.
select left(sha2(concat(@server, '/', database(), '/', unix_timestamp(create_time)), 256), 32)
from information_schema.tables
where table_schema = database() and table_name = 'outbox'
