-- Changes the state of messages that are held already: @asked as in hold_insert.sql. Waiting ones keep their attempts and
-- last error; a skipped message stays skipped, because its key has gone on without it.
update json_table(@asked, '$[*]' columns (
    id bigint path '$[0]',
    state varchar(9) path '$[1]',
    skipped int path '$[2]',
    attempts int path '$[3]',
    retry_after_us bigint path '$[4]',
    error text path '$[5]'
)) as asked
straight_join outbox_held as held force index (primary) on held.id = asked.id
set held.state = asked.state,
    held.skipped = held.skipped or asked.skipped,
    held.attempts = case when asked.state in ('retrying', 'dead') then asked.attempts else held.attempts end,
    held.next_attempt_at =
        case asked.state
            when 'scheduled' then greatest(coalesce(held.deliver_after, '1970-01-01'), utc_timestamp(6))
            when 'retrying' then utc_timestamp(6) + interval asked.retry_after_us microsecond
        end,
    held.last_error = coalesce(convert(unhex(asked.error) using utf8mb4), held.last_error)
