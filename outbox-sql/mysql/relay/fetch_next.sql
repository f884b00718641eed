-- The next rows by id: after @after_id and up to @end_id, at most @rows, without certain ids: @except_last is the last of
-- these (or below all ids), @except_edges has where each run of them begins and where it ends.
--
-- A row with more than @bytes of payload and headers, or an incomplete one, comes "cut", without these: there the reader
-- stops and continues with fetch_next_exact.sql. A "scheduled" row comes without them too, but is not cut: it was written
-- for a later time, which may have come; so its place does not depend on when a relay looks. A row that was due already
-- when it was written is an ordinary message, and so is one that has got its new place (wake.sql).
--
-- 8,000 ids as a list would cost 5 us for each row, most of it for parsing the statement; the edges of their runs are few,
-- and cost 0.2 us. ("+ 0" keeps the index from being used for this condition.)
--
-- The relay computes the hash of the key (relay/mysql/hash.h), because sha2() here would take a fifth of the statement's
-- time.
--
-- It is a single select, because a derived table would be written out with all payloads. The index is named, because the
-- statistics of a table that fills and drains all day are useless.
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
