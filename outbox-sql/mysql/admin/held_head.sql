-- The message that holds the key @of_key back.
select id
from outbox_held force index (outbox_held_heads)
where key_hash = cast(conv(left(sha2(@of_key, 256), 15), 16, 10) as signed)
    and `key` = @of_key
    and state in ('retrying', 'dead')
    and skipped = false
order by id
limit 1
