-- Sets messages of the outbox aside; moved.sql then deletes them there. @asked is a list of lists of id, state, skipped (0
-- or 1), attempts, microseconds until the next attempt, and the last error in hex. Attempts and last error are set for
-- retrying and dead, else 0 and NULL. A scheduled message that is due already becomes due now, because wake_due.sql does
-- not look at earlier times again. Adding one microsecond for each keeps several in the order of their times.
insert into outbox_held (id, message_id, exchange, routing_key, `key`, type, content_type, headers, payload, created_at,
    deliver_after, state, skipped, attempts, next_attempt_at, last_error /*@extra_name*/)
select outbox.id, outbox.message_id, outbox.exchange, outbox.routing_key, outbox.`key`, outbox.type, outbox.content_type,
    outbox.headers, outbox.payload, outbox.created_at, outbox.deliver_after, asked.state, asked.skipped, asked.attempts,
    case asked.state
        when 'scheduled' then greatest(coalesce(outbox.deliver_after, '1970-01-01'),
            utc_timestamp(6) + interval row_number() over (order by outbox.deliver_after, outbox.id) microsecond)
        when 'retrying' then utc_timestamp(6) + interval asked.retry_after_us microsecond
    end,
    convert(unhex(asked.error) using utf8mb4) /*@extra*/
from json_table(@asked, '$[*]' columns (
    id bigint path '$[0]',
    state varchar(9) path '$[1]',
    skipped int path '$[2]',
    attempts int path '$[3]',
    retry_after_us bigint path '$[4]',
    error text path '$[5]'
)) as asked
straight_join outbox force index (primary) on outbox.id = asked.id
