-- How many messages of the outbox have an id below @id. At most a million are counted.
select count(*)
from (select 1 from outbox where id < @id limit 1000001) as counted
