-- Once per connection of the runner. A consumer whose machine went silent inside a transaction keeps the ids that it
-- has claimed, and its successor waits for them: with these settings the server notices within a minute instead of
-- hours. Values that are already lower stay. Everything is qualified, for the reasons in claim.sql. Over a Unix socket
-- the first four are 0, and stay so. With the last one (since PostgreSQL 14) the server notices while a statement runs,
-- or waits for a lock, that nobody will read its answer.
select pg_catalog.set_config(name, value, false)
from (values ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'),
        ('tcp_user_timeout', '60000')) as wanted (name, value)
where pg_catalog.current_setting(name)::pg_catalog.int4 operator(pg_catalog.>) value::pg_catalog.int4
    or (name operator(pg_catalog.=) 'tcp_user_timeout' and pg_catalog.current_setting(name) operator(pg_catalog.=) '0')
union all
select pg_catalog.set_config('client_connection_check_interval', '5000', false)
where pg_catalog.current_setting('client_connection_check_interval', true) operator(pg_catalog.=) '0'
