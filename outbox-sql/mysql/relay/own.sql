-- Asks for the ownership of the outbox, for as long as this session lives: 1 if this session has it now. Also returns the
-- server's clock.
select get_lock(@lock_name, 0), timestampdiff(microsecond, '1970-01-01', utc_timestamp(6))
