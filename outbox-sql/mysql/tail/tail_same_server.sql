-- By the second connection: whether it is on the server where the lock is held.
select is_used_lock(@token) is not null
