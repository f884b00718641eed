-- The messages behind which those of the ids @ids wait, and how many wait behind each, in the order of ids. The head is
-- NULL if there is none: then a running relay is about to move them on. It is searched for once for each key, and for each
-- state separately: with both states in one condition, all heads would be read for each key.
select head.id, lower(insert(insert(insert(insert(hex(head.message_id), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')) as message_id,
    head.state, sum(waiting.waiting) as waiting
from (
    select held.waiting,
        (
            select min(candidate.id)
            from outbox_held as candidate force index (outbox_held_heads)
            where candidate.state = 'retrying'
                and candidate.skipped = false
                and candidate.key_hash = held.key_hash
                and candidate.`key` = held.`key`
        ) as retrying,
        (
            select min(candidate.id)
            from outbox_held as candidate force index (outbox_held_heads)
            where candidate.state = 'dead'
                and candidate.skipped = false
                and candidate.key_hash = held.key_hash
                and candidate.`key` = held.`key`
        ) as dead
    from (
        select key_hash, `key`, count(*) as waiting
        from outbox_held
        where id in (@ids)
            and state = 'waiting'
        group by key_hash, `key`
    ) as held
) as waiting
left join outbox_held as head on head.id = least(coalesce(retrying, dead), coalesce(dead, retrying))
group by head.id, head.message_id, head.state
order by head.id is null, head.id
