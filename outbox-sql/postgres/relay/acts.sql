-- Takes note of what operators did: true if there was anything. A large heap of it in portions. And which table is the
-- outbox now: the ownership is of the one that it was, and somebody may have renamed that.
with
    seen as (
        update :"schema".outbox_held_act
        set seen_at = now()
        where id = any(array(select id from :"schema".outbox_held_act where seen_at is null order by id limit 10000))
        returning id
    )
select count(*) > 0 as acts, to_regclass(format('%I.outbox', :'schema'))::oid as outbox
from seen
