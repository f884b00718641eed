-- The scheduled message @id cannot go to the outbox: @error says why. One without a key is tried from where it is, as there is
-- no order to keep; one with a key is set aside as dead, and keeps nobody back.
update outbox_held
set state = case when `key` is null then 'retrying' else 'dead' end,
    skipped = `key` is not null,
    next_attempt_at = case when `key` is null then utc_timestamp(6) end,
    last_error = @error
where id = @id
    and state = 'scheduled'
