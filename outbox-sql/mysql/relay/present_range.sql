-- The rows of the outbox from @first_id to @last_id: present.sql for ids that are close together.
select id
from outbox force index (primary)
where id between @first_id and @last_id
order by id
