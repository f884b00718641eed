-- The relay that has written the status since the owner did, if it was another one.
select host, pid
from outbox_relay
where session <> connection_id() or owned_since <> timestampadd(microsecond, @owned_since_us, '1970-01-01')
