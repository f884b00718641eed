-- The rows of the outbox from id $1 to id $2: instead of present.sql for ids that lie close together. Measured with
-- 1,000 ids: 0.65 us for each row, against 2.2.
select id
from :"schema".outbox
where id between $1::int8 and $2::int8
order by id
