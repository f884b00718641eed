-- How many messages of the outbox are before the id @id. More than a million are not counted.
select count(*)
from (select 1 from outbox where id < @id limit 1000001) as counted
