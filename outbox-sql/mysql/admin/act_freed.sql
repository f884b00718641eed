-- How many of the keys with these hashes have waiting messages.
select count(distinct key_hash)
from outbox_held
where state = 'waiting'
    and key_hash in (@key_hashes)
