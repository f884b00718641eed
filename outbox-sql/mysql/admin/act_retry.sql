-- Makes the messages @ids, none of which waits, due at once. A dead one gets all attempts again; if its key went on
-- without it, it stays apart from its key. A scheduled one is due from now on. (An assignment sees the results of earlier
-- ones, so the state comes last.)
update outbox_held
set attempts = case state when 'dead' then 0 else attempts end,
    next_attempt_at = utc_timestamp(6),
    deliver_after = case state when 'scheduled' then utc_timestamp(6) else deliver_after end,
    state = case state when 'scheduled' then 'scheduled' else 'retrying' end
where id in (@ids)
