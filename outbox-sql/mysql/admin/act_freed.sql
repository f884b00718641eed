-- Of the keys with these hashes, those that have messages waiting: how many.
select count(distinct key_hash)
from outbox_held
where state = 'waiting'
    and key_hash in (@key_hashes)
