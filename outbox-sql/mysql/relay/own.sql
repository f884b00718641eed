-- Asks for the ownership of the outbox, for as long as this session lives: 1 if this session has it now. Also returns the
-- server's clock. Waits for it, at most @wait_s seconds: so the ownership passes on as soon as it is given up.
select get_lock(@lock_name, @wait_s), timestampdiff(microsecond, '1970-01-01', utc_timestamp(6))
