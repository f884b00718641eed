-- Moves scheduled messages whose time has come to the outbox, at most $1, in the order of their times and with new ids,
-- which give them their place in the order of their key. They have no deliver_after any more: by that a reader knows
-- that they have their place.
--
-- $2: only those with a time from this one on (microseconds since 1970; NULL: all). Otherwise each look would pass over
-- the index entries of all messages that were moved before, as long as a long transaction elsewhere keeps these
-- entries.
--
-- Returns how many were moved; the microseconds until the next one is due: 0 if more are due already, NULL if there is
-- none; and the next $2. Nothing due before that is left, except what somebody holds locked, such as a message that is
-- being cancelled in a transaction still open: a look with NULL finds it later. || '' and the function: as in
-- release.sql.
--
-- A server gives the log to its readers only up to what is on the disk, and the relay's session does not wait for the
-- flush (session.sql): so the log brought the relay's own rows 200 ms late (wal_writer_delay). Therefore this commit is
-- flushed at once.
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
        -- All parts see the table as it was before: the next one comes after those that were due.
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
