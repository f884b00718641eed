-- A MiB in rows of 4 KiB (relay/ports/link_rate.h). They are random, so that compression on the way hardly shrinks them.
with recursive counted (number) as (
    select 1
    union all
    select number + 1
    from counted
    where number < 256
)
select concat(hex(random_bytes(1024)), hex(random_bytes(1024)))
from counted
