-- Two inits at the same time must not both find no tables, so this waits for the other one. 1: this session is alone.
select get_lock(concat('outbox_init_', left(sha2(database(), 256), 40)), 30)
