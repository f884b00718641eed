-- The messages with the lowest ids that wait for the key with the hash @key_hash, at most @rows; and whether they have
-- values for columns that others have added to the outbox.
select id, extra is not null as laden
from outbox_held force index (outbox_held_waiting)
where state = 'waiting'
    and key_hash = @key_hash
order by id
limit @rows
