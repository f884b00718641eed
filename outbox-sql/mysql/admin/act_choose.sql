-- Begins an act of an operator, a transaction: those of the messages @ids that still are as @state to @older_us say
-- (held_list.sql), with @waiting also those that wait, locked in the order of ids, as the relay does. What is done is decided by
-- what they are by then.
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
