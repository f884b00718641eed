-- Lets the rest of this transaction wait for a lock no longer than a second: it records what was sent, and where somebody has
-- locked that table, no message waits for it.
select set_config('lock_timeout', '1s', true)
