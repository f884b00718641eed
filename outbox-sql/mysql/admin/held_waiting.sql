-- How many messages of the key @of_key wait, and how many of them have an id below @id. At most a million are counted.
select count(*) as waiting, coalesce(sum(id < @id), 0) as before_it
from (
    select id
    from outbox_held force index (outbox_held_waiting)
    where key_hash = cast(conv(left(sha2(@of_key, 256), 15), 16, 10) as signed)
        and `key` = @of_key
        and state = 'waiting'
    order by id
    limit 1000001
) as waiting
