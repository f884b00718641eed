-- Sets messages aside, or gives held ones another state: $1 ids, $2 states (1 scheduled, 2 retrying, 3 waiting, 4
-- dead), $3 skipped, $4 attempts, $5 microseconds to the next attempt, $6 last errors. Attempts and last error apply to
-- retrying and dead messages; waiting ones keep what they had. A skipped message stays skipped, because its key has
-- gone on without it. Returns the ids that are in neither table: somebody cancelled or deleted them.
--
-- If the time of a scheduled message has passed, it is due from now on, because wake.sql does not look at earlier times
-- again. Adding a microsecond for each keeps such messages in the order of their times.
--
-- Rows are locked in the order of ids, as operators' commands do, so that the two cannot deadlock. If an operator asked
-- for a retry and the relay has not noticed it when the message is refused, the message is tried again at once.
--
-- All parts use one snapshot, so a message that was just moved is not found again as a held one. Only the values of
-- columns that others have added are read by a function (schema_functions.sql): it has a later snapshot, and locks the
-- rows it reads.
with
    asked as materialized (
        select id, (array['scheduled', 'retrying', 'waiting', 'dead'])[state] as state, state in (2, 4) as refused,
            skipped <> 0 as skipped, attempts::int4 as attempts,
            case when state = 2 then now() + retry_after_us * interval '1 microsecond' end as retry_at, error
        from unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::text[])
            as asked (id, state, skipped, attempts, retry_after_us, error)
    ),
    free as (
        -- A scheduled row may be locked by somebody who cancels it. Instead of waiting, it is reported as missing, and
        -- read again if the cancelling is rolled back.
        select id
        from :"schema".outbox
        where id = any(array(select id from asked where state = 'scheduled'))
        for update skip locked
    ),
    going as materialized (
        select id
        from asked
        where state <> 'scheduled'
        union all
        select id
        from free
    ),
    extras as materialized (
        select extras.id, extras.extra
        from (
            select array_agg(name) as names
            from :"schema".outbox_extra_columns(format('%I.outbox', :'schema')::regclass)
            having count(*) > 0
        ) as columns
        cross join lateral :"schema".outbox_extras(
            format('%I.outbox', :'schema')::regclass, names, array(select id from going)) as extras
    ),
    moved as (
        delete from :"schema".outbox
        where id = any(array(select id from going))
            and (select count(*) from extras) >= 0 -- so that they are read before the rows are deleted
        returning *
    ),
    inserted as (
        insert into :"schema".outbox_held (id, message_id, exchange, routing_key, key, type, content_type, headers, payload,
            created_at, deliver_after, state, skipped, attempts, next_attempt_at, last_error, extra)
        select id, message_id, exchange, routing_key, key, type, content_type, headers, payload, created_at,
            deliver_after, asked.state, asked.skipped, case when asked.refused then asked.attempts else 0 end,
            case
                when asked.state = 'scheduled' then greatest(deliver_after,
                    now() + row_number() over (order by deliver_after, id) * interval '1 microsecond')
                else asked.retry_at
            end,
            case when asked.refused then asked.error end, extras.extra
        from moved
        join asked using (id)
        left join extras using (id)
    ),
    locked as (
        select id
        from :"schema".outbox_held
        where id = any($1::int8[])
        order by id
        for update
    ),
    retried as (
        select held_id as id
        from :"schema".outbox_held_act
        where seen_at is null
            and what = 'retry'
    ),
    changed as (
        update :"schema".outbox_held as held
        set state = asked.state,
            skipped = held.skipped or asked.skipped,
            attempts = case when asked.refused then asked.attempts else held.attempts end,
            next_attempt_at =
                case
                    when asked.state = 'scheduled' then greatest(held.deliver_after, now())
                    when asked.state = 'retrying' and held.id = any(array(select id from retried)) then now()
                    else asked.retry_at
                end,
            last_error = case when asked.refused then coalesce(asked.error, held.last_error) else held.last_error end
        from asked
        where held.id = any(array(select id from locked))
            and held.id = asked.id
        returning held.id
    )
select id
from asked
where id not in (select id from moved)
    and id not in (select id from changed)
