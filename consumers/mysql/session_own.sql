-- Once per connection that the runner made itself, by a dsn. A consumer whose machine went silent inside a transaction holds the
-- ids that it has claimed, and its successor waits for them: the server ends the session after half an hour, not eight; and not
-- earlier either, since that is how long RabbitMQ lets a message be worked on. READ COMMITTED suits consumers best
-- (inbox_mysql.h); but where the binary log is of statements, InnoDB refuses to change anything in it.
-- The variable has two names: the first comment is for MariaDB alone, the second for MySQL.
set session wait_timeout = 1800,
    session /*M! tx_isolation */ /*!80000 transaction_isolation */ = if(
        @@session.binlog_format = 'STATEMENT',
        /*M! @@session.tx_isolation */ /*!80000 @@session.transaction_isolation */,
        'READ-COMMITTED'
    )
