-- What the relay reports about itself. Times are in microseconds: since 1970, by this server's clock, or (..._for_us)
-- before now; NULL: none.
replace into outbox_relay (source, host, pid, session, version, started_at, owned_since, updated_at, in_flight, in_flight_since,
    read_up_to, published_up_to, confirmed, rate, paused_reason, paused_since, `reads`, reads_reason, swept)
values (@source, @host, @pid, connection_id(), @version, timestampadd(microsecond, @started_at_us, '1970-01-01'),
    timestampadd(microsecond, @owned_since_us, '1970-01-01'), utc_timestamp(6), @in_flight,
    utc_timestamp(6) - interval @in_flight_for_us microsecond, @read_up_to, @published_up_to, @confirmed, @rate, @paused_reason,
    utc_timestamp(6) - interval @paused_for_us microsecond, @reading, @reads_reason, @swept)
