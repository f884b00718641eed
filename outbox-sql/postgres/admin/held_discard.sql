-- Deletes those of the messages $1 that still match $2 to $6 (held_list.sql); $7 is the operator. All rows are locked
-- at once in the order of ids, like the relay; the act depends on their state at that time. If one of them held a key
-- back, the relay releases the messages behind it, because it looks at all keys again after each act. Choosing a new
-- leader here would race with a relay that is just sending the discarded message. freed counts these keys.
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
