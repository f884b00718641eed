-- The messages with the lowest ids that wait behind the key with the hash @key_hash, at most @rows; and whether it has something
-- of columns that others have added to the outbox.
select id, extra is not null as laden
from outbox_held force index (outbox_held_waiting)
where state = 'waiting'
    and key_hash = @key_hash
order by id
limit @rows
