-- Those of the messages $1 that still are as $2 to $6 say (held_list.sql) are deleted; $7 is who says so. All rows are
-- locked in one go, in the order of ids, as the relay does; what is done is decided by what they are by then. Where that
-- takes away what kept a key back, the relay lets go those that wait behind it, since it looks at the keys anew after each
-- act: to give them a leader here would race with a relay that is just sending the message which is discarded. freed
-- counts these keys.
with
    locked as (
        select id, message_id, key, state, skipped
        from :"schema".outbox_held
        where id = any($1::int8[])
            and ($2::text is null or state = $2::text)
            and ($3::text is null or key = $3::text)
            and ($4::text is null or type = $4::text)
            and ($5::text is null or position($5::text in last_error) > 0)
            and ($6::int8 is null or held_at < now() - $6::int8 * interval '1 microsecond')
        order by id
        for update
    ),
    discarded as (
        delete from :"schema".outbox_held as held
        using locked
        where held.id = locked.id
        returning locked.id, locked.message_id, locked.key, locked.state, locked.skipped
    ),
    freed as (
        select distinct key
        from discarded
        where key is not null
            and state in ('retrying', 'dead')
            and not skipped
            and exists (
                select from :"schema".outbox_held as held
                where hashtextextended(held.key, 0) = hashtextextended(discarded.key, 0)
                    and held.key = discarded.key
                    and held.state = 'waiting'
                    and held.id not in (select id from locked)
            )
    ),
    told as (
        insert into :"schema".outbox_held_act (who, what, message_id, held_id, key, state)
        select $7::text || ', database role ' || session_user, 'discard', message_id, id, key, state
        from discarded
        order by id
    )
select
    count(*) filter (where state = 'scheduled') as scheduled,
    count(*) filter (where state = 'retrying') as retrying,
    count(*) filter (where state = 'waiting') as waiting,
    count(*) filter (where state = 'dead') as dead,
    (select count(*) from freed) as freed
from discarded
