-- When the transactions of sessions began, in microseconds since 1970: for the sessions of explain_writers_*.sql. Requires
-- the privilege PROCESS. trx_started is in the time zone of the server's machine, whatever that of the session.
select trx_mysql_thread_id as id,
    timestampdiff(microsecond, '1970-01-01', utc_timestamp(6))
        - timestampdiff(microsecond, trx_started, convert_tz(utc_timestamp(6), '+00:00', 'SYSTEM')) as since
from information_schema.innodb_trx
