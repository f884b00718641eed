-- Notes what operators did since the last look, at most a portion of it at a time: true if there was anything. Also
-- says which table is the outbox now, because somebody may have renamed the one that is owned; whether this session has
-- the ownership ($1: the outbox that is owned); and the settings that session.sql made: a connection pool may have
-- given the relay another session, or others may have used or reset this one.
with
    seen as (
        update :"schema".outbox_held_act
        set seen_at = now()
        where id = any(array(select id from :"schema".outbox_held_act where seen_at is null order by id limit 10000))
        returning id
    )
select count(*) > 0 as acts, to_regclass(format('%I.outbox', :'schema'))::oid as outbox,
    exists (
        select
        from pg_locks
        where pid = pg_backend_pid()
            and locktype = 'advisory'
            and classid = 1869968482
            and objid = $1::oid
            and objsubid = 2
    )
    and current_setting('search_path') = 'pg_catalog, pg_temp'
    and current_setting('row_security') = 'off' as owned
from seen
