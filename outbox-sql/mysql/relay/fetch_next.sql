-- The next rows by id: after @after_id and up to @end_id, at most @rows, except some ids: @except_last is the last of them (or one
-- below all), @except_edges where each run of them begins and where it is over. A row with
-- more bytes of payload and headers than @bytes, or that is not whole, comes "cut", without these: there the reader stops and goes
-- on with fetch_next_exact.sql. What is "scheduled" comes without them, and is not cut: it was written for a later time, which
-- may have come. So whether it takes a new place does not depend on when a relay looks. What was due already when it was written is
-- a message like any other, and so is what has got its new place (wake.sql).
-- 8,000 ids as a list would cost 5 us for each row, most of it to read the statement; their edges are few, and cost 0.2. ("+ 0": it
-- is not what the index is for.)
-- The relay computes the hash of the key (relay/mysql/hash.h): sha2() here takes a fifth of the statement's time.
-- One select, as a derived table would be written down, payloads and all. The index is named, whatever the statistics of a table that
-- fills and drains all day say.
select id, message_id, created_at,
    null as key_hash,
    `key` is not null as ordered,
    coalesce(deliver_after > created_at, 0) as scheduled,
    null as withheld,
    coalesce(deliver_after > created_at, 0) = 0
        and (coalesce(octet_length(payload) + coalesce(octet_length(headers), 0) > @bytes, 1)
            or coalesce(octet_length(message_id), 0) <> 16
            or created_at is null)
        as cut,
    exchange, routing_key, `key`, type, content_type,
    if(deliver_after > created_at or octet_length(payload) + octet_length(headers) > @bytes, null, headers) as headers,
    if(deliver_after > created_at or octet_length(payload) + coalesce(octet_length(headers), 0) > @bytes, null, payload) as payload
from outbox force index (primary)
where id > @after_id and id <= @end_id and (id + 0 > @except_last or interval(id, @except_edges) % 2 = 0)
order by id
limit @rows
