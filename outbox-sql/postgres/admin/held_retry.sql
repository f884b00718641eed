-- Makes those of the messages $1 that still match $2 to $6 (held_list.sql) due at once; $7 is the operator. Waiting
-- ones stay: they are sent when the message before them is gone. A dead one gets all attempts again; if its key went on
-- without it, it stays apart from its key. A scheduled one is due from now on. Rows are locked in the order of ids,
-- like the relay.
with
    chosen as (
        select id, message_id, key, state
        from :"schema".outbox_held
        where id = any($1::int8[])
            and state <> 'waiting'
            and ($2::text is null or state = $2::text)
            and ($3::text is null or key = $3::text)
            and ($4::text is null or type = $4::text)
            and ($5::text is null or position($5::text in last_error) > 0)
            and ($6::int8 is null or held_at < now() - $6::int8 * interval '1 microsecond')
        order by id
        for update
    ),
    changed as (
        update :"schema".outbox_held as held
        set state = case chosen.state when 'scheduled' then 'scheduled' else 'retrying' end,
            attempts = case chosen.state when 'dead' then 0 else held.attempts end,
            next_attempt_at = now(),
            deliver_after = case chosen.state when 'scheduled' then now() else held.deliver_after end
        from chosen
        where held.id = chosen.id
        returning chosen.id, chosen.message_id, chosen.key, chosen.state
    ),
    told as (
        insert into :"schema".outbox_held_act (who, what, message_id, held_id, key, state)
        select $7::text || ', database role ' || session_user, 'retry', message_id, id, key, state
        from changed
        order by id
    )
select
    count(*) filter (where state = 'scheduled') as scheduled,
    count(*) filter (where state = 'retrying') as retrying,
    0 as waiting,
    count(*) filter (where state = 'dead') as dead,
    0 as promoted
from changed
