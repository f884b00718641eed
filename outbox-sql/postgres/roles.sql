-- Ready roles for the outbox: what a producer, the relay and an operator need, and nothing else. Run after schema.sql and
-- the files beside it, by their owner; roles that are not there yet take the right to create roles. Running it again
-- changes nothing. By hand:
-- psql --single-transaction -v schema=public -f roles.sql
--
-- Whoever logs in gets one of them: grant outbox_producer to shop. Roles belong to the server: if it has several outboxes
-- whose producers must not write to each other's, give the roles of each outbox names of their own before this runs.
--
-- Not granted here, because only some need it:
--   to read the log           alter role relay replication, for the account itself: roles do not pass it on. With it the
--                             relay's account may read the changes of all databases of the server (publication.sql)
--   to cancel a message       grant execute on function outbox_cancel to outbox_producer
--   messages without a table  grant execute on function outbox_emit to outbox_producer
--   explain shows the transactions of other roles in full     grant pg_read_all_stats to outbox_operator
set local search_path = pg_catalog, pg_temp; -- names that are not qualified mean the same for everybody
set local outbox.schema = :'schema';

do $$
declare
    name text;
begin
    foreach name in array array['outbox_producer', 'outbox_relay', 'outbox_operator'] loop
        begin
            if not exists (select from pg_roles where rolname = name) then
                execute format('create role %I', name);
            end if;
        exception
            when duplicate_object or unique_violation then null; -- somebody else has made it meanwhile
        end;
    end loop;
end
$$;
grant usage on schema :"schema" to outbox_producer, outbox_relay, outbox_operator;

-- The view is for INSERT with RETURNING, as ORMs do, and shows nobody's messages.
grant insert on :"schema".outbox to outbox_producer;
grant insert, select on :"schema".outbox_new to outbox_producer;

-- The relay updates no row of the outbox, but locks some, which needs the right to update.
grant select, insert, update, delete on :"schema".outbox, :"schema".outbox_held to outbox_relay;
grant select, update on :"schema".outbox_held_act to outbox_relay;
grant select, insert, update on :"schema".outbox_relay to outbox_relay;
grant select, insert, delete on :"schema".outbox_sent_batch to outbox_relay;
grant select on :"schema".outbox_schema, :"schema".outbox_relay_schema to outbox_relay;
do $$
declare
    ids constant text := pg_get_serial_sequence(format('%I.outbox', current_setting('outbox.schema')), 'id');
begin
    execute format('grant select, usage on sequence %s to outbox_relay', ids);
end
$$;

-- An operator changes held messages; each act of the commands leaves a row in outbox_held_act, which no operator can
-- change.
grant select on :"schema".outbox, :"schema".outbox_relay, :"schema".outbox_sent_batch to outbox_operator;
grant select, update, delete on :"schema".outbox_held to outbox_operator;
grant select, insert on :"schema".outbox_held_act to outbox_operator;
grant select on :"schema".outbox_schema, :"schema".outbox_relay_schema to outbox_operator;
