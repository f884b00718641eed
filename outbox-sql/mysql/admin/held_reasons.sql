-- How many held messages there are with each reason, of those that are tried again and of dead ones: @most of each at most, because
-- their rows have to be read, along the index of their state. Only the beginning of a reason (@size characters) tells its class.
select dead, reason, count(*) as messages
from (
    (select 0 as dead, left(last_error, @size) as reason from outbox_held where state = 'retrying' limit @most)
    union all
    (select 1, left(last_error, @size) from outbox_held where state = 'dead' limit @most)
) as held
group by dead, reason
