-- Once per connection of the runner. A consumer whose machine went silent inside a transaction holds the ids that it has
-- claimed, and its successor waits for them: so the server finds out within a minute, not in hours. Values that are set
-- lower already stay. Over a Unix socket all of them are 0, and stay so.
select set_config(name, value, false)
from (values ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'),
        ('tcp_user_timeout', '60000')) as wanted (name, value)
where current_setting(name)::integer > value::integer
    or (name = 'tcp_user_timeout' and current_setting(name) = '0')
