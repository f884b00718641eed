-- Which of the rows with the ids $1 are in the outbox.
select id
from :"schema".outbox
where id = any($1::int8[])
order by id
