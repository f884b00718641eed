-- Writes messages without a table, as the log brought them, into the outbox: of $1, their contents in the order of the
-- commits, those from place $2 on, $3 of them. Their ids follow this order. $4: why they cannot be written; NULL: they
-- can. A content that cannot be a message, or a reason in $4, makes a dead message: the content is its payload, and it
-- has no key, so that no others wait behind it. After the answer the log may forget them, so this commit must survive a
-- crash of the server, unlike all others of this session.
with
    asked as materialized (
        select content, position
        from unnest($1::bytea[]) with ordinality as asked (content, position)
        where position >= $2::int8
            and position < $2::int8 + $3::int8
    ),
    emitted as materialized (
        select message.*, content, position
        from asked
        cross join lateral :"schema".outbox_emitted(content) as message
        where $4::text is null
    ),
    problems as materialized (
        select content, position, problem
        from emitted
        where problem is not null
        union all
        select content, position, $4::text
        from asked
        where $4::text is not null
    ),
    refused as (
        insert into :"schema".outbox_held (id, message_id, routing_key, payload, created_at, state, skipped, last_error)
        select nextval(pg_get_serial_sequence(format('%I.outbox', :'schema'), 'id')), gen_random_uuid(), '', content, now(), 'dead', true, problem
        from problems
        order by position
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
select set_config('synchronous_commit', 'on', true), (select min(problem) from problems) as problem
