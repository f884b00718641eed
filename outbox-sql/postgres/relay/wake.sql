-- Scheduled messages whose time has come go to the outbox, at most $1, in the order of their times and under new ids, so
-- that from now on they stand in the order of their key. Gives back how many, and the microseconds until the next one is
-- due: 0 if more are due already, NULL if there is none. || '' as in release.sql.
with
    due as materialized (
        select id
        from outbox_held
        where state = 'scheduled'
            and next_attempt_at <= now()
        order by next_attempt_at, id
        limit $1::int8
    ),
    moved as (
        delete from outbox_held
        where id = any(array(select id from due))
            and state || '' = 'scheduled'
        returning *
    ),
    inserted as (
        insert into outbox (message_id, exchange, routing_key, key, type, content_type, headers, payload, created_at,
            deliver_after)
        select message_id, exchange, routing_key, key, type, content_type, headers, payload, created_at, deliver_after
        from moved
        order by next_attempt_at, id
        returning id
    ),
    next as (
        -- All parts see the table as it was: the next is the one behind those that were due.
        select next_attempt_at
        from outbox_held
        where state = 'scheduled'
        order by next_attempt_at, id
        offset (select count(*) from due)
        limit 1
    )
select (select count(*) from inserted) as count,
    case
        when next_attempt_at <= now() then 0
        when next_attempt_at < 'infinity' then (extract(epoch from next_attempt_at - now()) * 1000000)::int8
    end as next_in_us
from (select) as always
left join next on true
