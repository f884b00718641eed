-- The message that holds the key $1 back.
select id
from :"schema".outbox_held
where hashtextextended(key, 0) = hashtextextended($1::text, 0)
    and key = $1::text
    and (state = 'retrying' or (state = 'dead' and not skipped))
    and not skipped
order by hashtextextended(key, 0), id
limit 1
