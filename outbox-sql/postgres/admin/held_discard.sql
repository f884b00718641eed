-- Those of the messages $1 that still are as $2 to $6 say (held_list.sql) are deleted; $7 is who says so. Where that takes
-- away what kept a key back, the first message that waits behind it takes its place and is tried at once, so that the key
-- goes on in order. All rows are locked in one go, in the order of ids, as the relay does; what is done is decided by what
-- they are by then. A message that comes to wait while this runs is missed; the relay looks for such after each act.
with
    chosen as (
        select id, key, state, skipped
        from outbox_held
        where id = any($1::int8[])
    ),
    successor as (
        select waiting.id
        from (
            select distinct key
            from chosen
            where key is not null
                and state in ('retrying', 'dead')
                and not skipped
        ) as led
        cross join lateral (
            select held.id
            from outbox_held as held
            where hashtextextended(held.key, 0) = hashtextextended(led.key, 0)
                and held.key = led.key
                and held.state = 'waiting'
                and held.id not in (select id from chosen)
            order by hashtextextended(held.key, 0), held.id
            limit 1
        ) as waiting
    ),
    locked as (
        select id, message_id, key, state, skipped
        from outbox_held
        where id = any(array(select id from successor))
            or (
                id = any($1::int8[])
                and ($2::text is null or state = $2::text)
                and ($3::text is null or key = $3::text)
                and ($4::text is null or type = $4::text)
                and ($5::text is null or position($5::text in last_error) > 0)
                and ($6::int8 is null or held_at < now() - $6::int8 * interval '1 microsecond')
            )
        order by id
        for update
    ),
    discarded as (
        delete from outbox_held as held
        using locked
        where held.id = locked.id
            and locked.id <> all(array(select id from successor))
        returning locked.id, locked.message_id, locked.key, locked.state, locked.skipped
    ),
    promoted as (
        update outbox_held as held
        set state = 'retrying',
            attempts = 0,
            next_attempt_at = now()
        from locked
        where held.id = locked.id
            and locked.id = any(array(select id from successor))
            and locked.state = 'waiting'
            and locked.key in (
                select key
                from discarded
                where state in ('retrying', 'dead')
                    and not skipped
            )
        returning held.id
    ),
    told as (
        insert into outbox_held_act (who, what, message_id, held_id, key, state)
        select $7::text || ', database role ' || session_user, 'discard', message_id, id, key, state
        from discarded
        order by id
    )
select
    count(*) filter (where state = 'scheduled') as scheduled,
    count(*) filter (where state = 'retrying') as retrying,
    count(*) filter (where state = 'waiting') as waiting,
    count(*) filter (where state = 'dead') as dead,
    (select count(*) from promoted) as promoted
from discarded
