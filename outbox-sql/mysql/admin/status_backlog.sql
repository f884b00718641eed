-- What is to be sent, and what is held. At most a million of each are counted, because the answer must come at once. The
-- oldest is the one that has been due for the longest time. Each state is counted separately, along its part of the index.
select
    (select count(*) from (select 1 from outbox limit 1000001) as pending) as pending,
    (
        select timestampdiff(microsecond, '1970-01-01', min(greatest(created_at, coalesce(deliver_after, created_at))))
        from (select created_at, deliver_after from outbox order by id limit 1000001) as pending
        where deliver_after is null or deliver_after <= utc_timestamp(6)
    ) as oldest,
    (select count(*) from (select 1 from outbox_held where state = 'scheduled' limit 1000001) as held) as scheduled,
    (select count(*) from (select 1 from outbox_held where state = 'retrying' limit 1000001) as held) as retrying,
    (select count(*) from (select 1 from outbox_held where state = 'waiting' limit 1000001) as held) as waiting,
    (select count(*) from (select 1 from outbox_held where state = 'dead' limit 1000001) as held) as dead,
    timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) as now
