-- For those of the messages $1 that wait: the messages they wait behind (heads), and how many wait behind each. A head
-- is NULL where there is none: a running relay is about to move the waiting ones on.
select head.id, head.message_id, head.state, count(*) as waiting
from :"schema".outbox_held as held
left join lateral (
    select candidate.id, candidate.message_id, candidate.state
    from :"schema".outbox_held as candidate
    where hashtextextended(candidate.key, 0) = hashtextextended(held.key, 0)
        and candidate.key = held.key
        and (candidate.state = 'retrying' or (candidate.state = 'dead' and not candidate.skipped))
        and not candidate.skipped
    order by hashtextextended(candidate.key, 0), candidate.id
    limit 1
) as head on true
where held.id = any($1::int8[])
    and held.state = 'waiting'
group by head.id, head.message_id, head.state
order by head.id
