-- The scheduled message @id cannot move to the outbox, for the reason @error. One without a key is sent from outbox_held,
-- because it has no order to keep; one with a key becomes dead, and holds no other message back.
update outbox_held
set state = case when `key` is null then 'retrying' else 'dead' end,
    skipped = `key` is not null,
    next_attempt_at = case when `key` is null then utc_timestamp(6) end,
    last_error = @error
where id = @id
    and state = 'scheduled'
