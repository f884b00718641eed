-- The held messages that match $1 to $6, with the meaning of held_list.sql: how many of each state, how many in all, and
-- their ids with spaces between them, so that an act can apply to exactly these.
select
    count(*) filter (where state = 'scheduled') as scheduled,
    count(*) filter (where state = 'retrying') as retrying,
    count(*) filter (where state = 'waiting') as waiting,
    count(*) filter (where state = 'dead') as dead,
    count(*),
    coalesce(string_agg(id::text, ' ' order by id), '') as ids
from :"schema".outbox_held
where ($1::int8[] is null or id = any($1::int8[]))
    and ($2::text is null or state = $2::text)
    and ($3::text is null or (hashtextextended(key, 0) = hashtextextended($3::text, 0) and key = $3::text))
    and ($4::text is null or type = $4::text)
    and ($5::text is null or position($5::text in last_error) > 0)
    and ($6::int8 is null or held_at < now() - $6::int8 * interval '1 microsecond')
