-- The last report of the outbox's owner on itself. Times in microseconds since 1970.
select host, pid, version, in_flight, read_up_to, published_up_to, confirmed, rate, paused_reason,
    (extract(epoch from owned_since) * 1000000)::int8 as owned_since,
    (extract(epoch from updated_at) * 1000000)::int8 as updated_at,
    (extract(epoch from in_flight_since) * 1000000)::int8 as in_flight_since,
    (extract(epoch from paused_since) * 1000000)::int8 as paused_since,
    reads, reads_reason, swept
from :"schema".outbox_relay
