-- Once per connection that the runner itself made, by a dsn. A consumer whose machine went silent inside a transaction
-- keeps the ids that it has claimed, and its successor waits for them. So the server ends the session after half an
-- hour instead of eight; not earlier, because RabbitMQ allows this much time for a message. READ COMMITTED suits
-- consumers best (inbox_mysql.h), but with a statement-based binary log InnoDB refuses changes in it. The variable has
-- two names: the first comment is for MariaDB alone, the second for MySQL.
set session wait_timeout = 1800,
    session /*M! tx_isolation */ /*!80000 transaction_isolation */ = if(
        @@session.binlog_format = 'STATEMENT',
        /*M! @@session.tx_isolation */ /*!80000 @@session.transaction_isolation */,
        'READ-COMMITTED'
    )
