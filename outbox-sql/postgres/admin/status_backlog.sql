-- What is there to be sent, and what is held. More than a million of each are not counted: whoever asks wants the answer
-- at once. The oldest is the one that has been due for the longest.
with pending as (select created_at, deliver_after from outbox order by id limit 1000001)
select
    (select count(*) from pending) as pending,
    (
        select (extract(epoch from min(greatest(created_at, deliver_after))) * 1000000)::int8
        from pending
        where isfinite(created_at)
            and (deliver_after is null or deliver_after <= now())
    ) as oldest,
    count(*) filter (where state = 'scheduled') as scheduled,
    count(*) filter (where state = 'retrying') as retrying,
    count(*) filter (where state = 'waiting') as waiting,
    count(*) filter (where state = 'dead') as dead,
    (extract(epoch from now()) * 1000000)::int8 as now
from (select state from outbox_held limit 1000001) as held
