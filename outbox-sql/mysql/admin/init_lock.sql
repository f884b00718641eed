-- Two inits at a time must not both find nothing: waits for another one. 1: this session is alone.
select get_lock(concat('outbox_init_', left(sha2(database(), 256), 40)), 30)
