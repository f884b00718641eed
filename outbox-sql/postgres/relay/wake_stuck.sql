-- For the scheduled message that wake.sql would move first, but cannot: $1 says why. One without a key is tried from
-- outbox_held, because it has no order to keep; one with a key becomes dead, and holds no other message back.
with
    due as materialized (
        select id
        from :"schema".outbox_held
        where state = 'scheduled'
            and next_attempt_at <= now()
        order by next_attempt_at, id
        limit 1
        for update skip locked
    )
update :"schema".outbox_held
set state = case when key is null then 'retrying' else 'dead' end,
    skipped = key is not null,
    next_attempt_at = case when key is null then now() end,
    last_error = $1::text
where id = any(array(select id from due))
