-- The scheduled message that wake.sql would move first cannot go to the outbox: $1 says why. One without a key is tried from
-- where it is, as there is no order to keep; one with a key is set aside as dead, and keeps nobody back.
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
