-- Writes what the log brought without a table into the outbox: $1, the contents in the order of their commits; their ids are
-- in that order. What can't be a message is set aside as dead, with its content as payload and no key for others to wait
-- behind. Once this is answered the log may forget them, so unlike all else of the session it must survive a crash.
with
    emitted as materialized (
        select message.*, content, position
        from unnest($1::bytea[]) with ordinality as emitted (content, position)
        cross join lateral :"schema".outbox_emitted(content) as message
    ),
    refused as (
        insert into :"schema".outbox_held (id, message_id, routing_key, payload, created_at, state, skipped, last_error)
        select nextval(pg_get_serial_sequence(format('%I.outbox', :'schema'), 'id')), gen_random_uuid(), '', content, now(), 'dead', true, problem
        from emitted
        where problem is not null
    ),
    written as (
        insert into :"schema".outbox (message_id, exchange, routing_key, key, type, content_type, headers, payload, created_at,
            deliver_after)
        select message_id, exchange, routing_key, key, type, content_type, headers, payload, created_at, deliver_after
        from emitted
        where problem is null
        order by position
        returning 1
    )
select set_config('synchronous_commit', 'on', true), (select min(problem) from emitted) as problem
