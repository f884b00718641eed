-- The last report of the outbox's owner about itself. Times are in microseconds since 1970.
select host, pid, version, in_flight, read_up_to, published_up_to, confirmed, rate, paused_reason,
    timestampdiff(microsecond, '1970-01-01', owned_since) as owned_since,
    timestampdiff(microsecond, '1970-01-01', updated_at) as updated_at,
    timestampdiff(microsecond, '1970-01-01', in_flight_since) as in_flight_since,
    timestampdiff(microsecond, '1970-01-01', paused_since) as paused_since,
    `reads`, reads_reason, swept, session
from outbox_relay
