-- Scheduled messages whose time has come go to the outbox, at most $1, in the order of their times and under new ids, so
-- that from now on they stand in the order of their key, and without deliver_after: who reads one knows by that that it has
-- its place. $2: only those with a time from this one on (microseconds since
-- 1970; NULL: all), so that index entries of the many that went before, which a long transaction elsewhere keeps, are not
-- walked over again each time. Gives back how many; the microseconds until the next one is due: 0 if more are due
-- already, NULL if there is none; and the next $2: nothing due before it is left, but for what somebody holds locked, such
-- as one that is being cancelled in a transaction still open: a look at all finds that. || '' and the function as
-- in release.sql.
-- A server gives the log to its readers only as far as it is on the disk, and the relay's session does not wait for that
-- (session.sql): then its own rows came 200 ms late by the log (wal_writer_delay). So this commit is written at once.
with
    due as materialized (
        select id, next_attempt_at, extra is not null as laden
        from :"schema".outbox_held
        where state = 'scheduled'
            and next_attempt_at >= coalesce('epoch'::timestamptz + $2::int8 * interval '1 microsecond', '-infinity')
            and next_attempt_at <= now()
        order by next_attempt_at, id
        limit $1::int8
        for update skip locked
    ),
    put_back as materialized (
        select :"schema".outbox_put_back(
            format('%I.outbox', :'schema')::regclass,
            format('%I.outbox_held', :'schema')::regclass,
            array_agg(name),
            array_agg(value),
            array(select id from due),
            true) as count
        from :"schema".outbox_extra_columns(format('%I.outbox', :'schema')::regclass)
        where exists (select from due where laden)
        having count(*) > 0
    ),
    moved as (
        delete from :"schema".outbox_held
        where id = any(array(select id from due where not exists (select from put_back)))
            and state || '' = 'scheduled'
        returning *
    ),
    inserted as (
        insert into :"schema".outbox (message_id, exchange, routing_key, key, type, content_type, headers, payload, created_at)
        select message_id, exchange, routing_key, key, type, content_type, headers, payload, created_at
        from moved
        order by next_attempt_at, id
        returning id
    ),
    done as (
        select count(*) as count, case when count(*) < $1::int8 then now() else max(next_attempt_at) end as up_to
        from due
    ),
    next as (
        -- All parts see the table as it was: the next is the one behind those that were due.
        select next_attempt_at
        from :"schema".outbox_held
        where state = 'scheduled'
            and next_attempt_at >= coalesce('epoch'::timestamptz + $2::int8 * interval '1 microsecond', '-infinity')
        order by next_attempt_at, id
        offset (select count from done)
        limit 1
    )
select
    case
        when moved_count = 0 then 0
        when set_config('synchronous_commit', 'local', true) is not null then moved_count
    end as count,
    case
        when next_attempt_at <= now() then 0
        when next_attempt_at < 'infinity' then (extract(epoch from next_attempt_at - now()) * 1000000)::int8
    end as next_in_us,
    (extract(epoch from greatest(up_to, 'epoch')) * 1000000)::int8 as up_to_us
from done
cross join (select (select count(*) from inserted) + coalesce((select count from put_back), 0) as moved_count) as moved
left join next on true
