-- On the second connection: whether its server is the one that has this lock.
select is_used_lock(@token) is not null
