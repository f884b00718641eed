-- The next rows by id: $1 after this id, $2 except these ids, $3 except keys with these hashes, $4 at most so many rows,
-- $5 bytes, $6 up to this id. A row with more bytes than $5 comes without headers and payload: there the reader stops and
-- goes on with fetch_next_exact.sql, which costs about twice as much. "not in (select unnest())" makes a hash table once,
-- where "<> all()" with a parameter compares with each element for each row.
select id, message_id, created_at, hashtextextended(key, 0) as key_hash, exchange, routing_key, key, type, content_type,
    case when octet_length(payload) + coalesce(pg_column_size(headers), 0) <= $5::int8 then headers end as headers,
    case when octet_length(payload) + coalesce(pg_column_size(headers), 0) <= $5::int8 then payload end as payload
from outbox
where id > $1::int8
    and id <= $6::int8
    and id not in (select unnest($2::int8[]))
    and (key is null or hashtextextended(key, 0) not in (select unnest($3::int8[])))
    and (deliver_after is null or deliver_after <= now())
order by id
limit $4::int8
