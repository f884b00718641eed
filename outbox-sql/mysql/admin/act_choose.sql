-- Begins an act of an operator, a transaction: chooses those of the messages @ids that still match @state to @older_us
-- (held_list.sql), with @waiting also waiting ones, and locks them in the order of ids, like the relay. The act depends on
-- their state at this time.
select id, state, key_hash, skipped
from outbox_held
where id in (@ids)
    and (@waiting or state <> 'waiting')
    and (@state is null or state = @state)
    and (@of_key is null or `key` = @of_key)
    and (@type is null or type = @type)
    and (@reason is null or locate(@reason, last_error) > 0)
    and (@older_us is null or held_at < utc_timestamp(6) - interval @older_us microsecond)
order by id
for update
