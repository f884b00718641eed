-- How many messages are to be sent, and how many are held. At most a million of each are counted, because the operator
-- wants the answer at once. The oldest is the one that has been due for the longest time. Each state is read along its
-- own index.
with pending as (select created_at, deliver_after from :"schema".outbox order by id limit 1000001)
select
    (select count(*) from pending) as pending,
    (
        select (extract(epoch from min(least(greatest(created_at, deliver_after), '200000-01-01'))) * 1000000)::int8
        from pending
        where isfinite(created_at)
            and (deliver_after is null or deliver_after <= now())
    ) as oldest,
    (select count(*) from (select from :"schema".outbox_held where state = 'scheduled' limit 1000001) as held) as scheduled,
    (select count(*) from (select from :"schema".outbox_held where state = 'retrying' limit 1000001) as held) as retrying,
    (select count(*) from (select from :"schema".outbox_held where state = 'waiting' limit 1000001) as held) as waiting,
    (select count(*) from (select from :"schema".outbox_held where state = 'dead' and not skipped limit 1000001) as held)
        + (select count(*) from (select from :"schema".outbox_held where state = 'dead' and skipped limit 1000001) as held) as dead,
    (extract(epoch from now()) * 1000000)::int8 as now
