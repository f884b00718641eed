-- Writes the relay's report on itself: $1 source, $2 host, $3 process id, $4 version, $5 and $6 when the relay was
-- started and when it came to own the outbox (microseconds since 1970, by this server's clock), $7 in flight, $8 for
-- how long, $9 read up to, $10 published up to, $11 confirmed, $12 rate, $13 why it is paused, $14 for how long, $15
-- how it reads, $16 why it does not tail, $17 swept, $18 the slot by which it reads messages without a table. No index
-- has the columns that change, and a page has room for many versions of the row, so an update writes only one page.
insert into :"schema".outbox_relay (source, host, pid, version, started_at, owned_since, updated_at, in_flight, in_flight_since,
    read_up_to, published_up_to, confirmed, rate, paused_reason, paused_since, reads, reads_reason, swept, slot)
values ($1::text, $2::text, $3::int8, $4::text, to_timestamp($5::int8 / 1000000.0), to_timestamp($6::int8 / 1000000.0),
    now(), $7::int8, now() - $8::int8 * interval '1 microsecond', $9::int8, $10::int8, $11::int8, $12::float8, $13::text,
    now() - $14::int8 * interval '1 microsecond', $15::text, $16::text, $17::int8, $18::text)
on conflict (single) do update
set (source, host, pid, version, started_at, owned_since, updated_at, in_flight, in_flight_since, read_up_to,
    published_up_to, confirmed, rate, paused_reason, paused_since, reads, reads_reason, swept, slot) =
    (excluded.source, excluded.host, excluded.pid, excluded.version, excluded.started_at, excluded.owned_since,
    excluded.updated_at, excluded.in_flight, excluded.in_flight_since, excluded.read_up_to, excluded.published_up_to,
    excluded.confirmed, excluded.rate, excluded.paused_reason, excluded.paused_since,
    excluded.reads, excluded.reads_reason, excluded.swept, excluded.slot)
