-- The held messages that match @named to @older_us, with the meaning of held_list.sql, so that an act can apply to exactly
-- these.
select id, state
from outbox_held
where (not @named or id in (@ids))
    and (@state is null or state = @state)
    and (@of_key is null or (key_hash = cast(conv(left(sha2(@of_key, 256), 15), 16, 10) as signed) and `key` = @of_key))
    and (@type is null or type = @type)
    and (@reason is null or locate(@reason, last_error) > 0)
    and (@older_us is null or held_at < utc_timestamp(6) - interval @older_us microsecond)
order by id
