-- How many messages of the key $1 wait, and how many of them before the id $2. At most a million are counted.
select count(*) as waiting, count(*) filter (where id < $2::int8) as before
from (
    select id
    from :"schema".outbox_held
    where hashtextextended(key, 0) = hashtextextended($1::text, 0)
        and key = $1::text
        and state = 'waiting'
    order by hashtextextended(key, 0), id
    limit 1000001
) as waiting
