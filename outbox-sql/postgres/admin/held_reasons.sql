-- How many held messages there are with each reason, of those that are tried again and of dead ones: $1 of each at most, because
-- their rows have to be read. Each part is found along its own index. Only the beginning of a reason ($2 characters) tells its
-- class; it comes in ASCII, as it may be no valid text in the client's encoding.
select dead, reason, count(*) as messages
from (
    select dead, regexp_replace(left(last_error, $2::int4), '[^ -~]', '?', 'g') as reason
    from (
        (select false as dead, last_error from :"schema".outbox_held where state = 'retrying' limit $1::int8)
        union all
        (
            select true, last_error
            from (
                (select last_error from :"schema".outbox_held where state = 'dead' and not skipped limit $1::int8)
                union all
                (select last_error from :"schema".outbox_held where state = 'dead' and skipped limit $1::int8)
            ) as dead
            limit $1::int8
        )
    ) as held
) as reasons
group by dead, reason
