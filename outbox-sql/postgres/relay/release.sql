-- Moves messages that wait behind the keys with the hashes $1 back to the outbox, with the ids they had, the lowest ids
-- first, at most $2. Returns how many, and the lowest and the highest of their ids: up to the highest one, no message
-- of these keys is left waiting. (One that an operator discarded meanwhile is counted too, because fewer than $2 must
-- mean that there are no more.)
--
-- Each key is read by itself along its part of the index, whatever the statistics say. When a row was changed
-- meanwhile, its state is looked at again; || '' keeps the server from reading the whole index of waiting messages for
-- that.
--
-- If one of them has values in columns that others have added to the outbox, a function moves all of them, so that they
-- keep the order of their ids.
--
-- deliver_after is left out, as in wake.sql: a waiting message has its place already. (Relays before version 0.2 left
-- the time there.)
with
    chosen as materialized (
        select waiting.id, waiting.laden
        from (select distinct key_hash from unnest($1::int8[]) as key_hash) as key
        cross join lateral (
            select id, extra is not null as laden
            from :"schema".outbox_held
            where hashtextextended(outbox_held.key, 0) = key.key_hash
                and state = 'waiting'
            order by id
            limit $2::int8
        ) as waiting
        order by waiting.id
        limit $2::int8
    ),
    put_back as materialized (
        select :"schema".outbox_put_back(
            format('%I.outbox', :'schema')::regclass,
            format('%I.outbox_held', :'schema')::regclass,
            array_agg(name),
            array_agg(value),
            array(select id from chosen),
            false) as count
        from :"schema".outbox_extra_columns(format('%I.outbox', :'schema')::regclass)
        where exists (select from chosen where laden)
        having count(*) > 0
    ),
    moved as (
        delete from :"schema".outbox_held
        where id = any(array(select id from chosen where not exists (select from put_back)))
            and state || '' = 'waiting'
        returning *
    ),
    inserted as (
        insert into :"schema".outbox (id, message_id, exchange, routing_key, key, type, content_type, headers, payload, created_at)
        overriding system value
        select id, message_id, exchange, routing_key, key, type, content_type, headers, payload, created_at
        from moved
        order by id
    )
select count(*) as count, min(id) as first_id, max(id) as last_id
from chosen
