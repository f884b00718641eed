-- A ready role for consumers: what they need of the inbox, and nothing else. Run after schema.sql with the same
-- search_path, by the owner of its tables; if the role is not there yet, it takes the right to create roles. Running it
-- again changes nothing. By hand: psql --single-transaction -f role.sql
--
-- Whoever logs in gets it beside the rights for the effect of a message: grant inbox_consumer to shipping. Not granted
-- here, because only some need it:
--   states of a key (schema_newest.sql)      grant select, insert, update on inbox_newest to inbox_consumer
--   deleting old rows (inbox_pg_forget)      grant delete on inbox to inbox_consumer, or only to who does that
do $$
declare
    schema constant text := pg_catalog.current_schema();
begin
    begin
        if not exists (select from pg_catalog.pg_roles where rolname operator(pg_catalog.=) 'inbox_consumer') then
            create role inbox_consumer;
        end if;
    exception
        when duplicate_object or unique_violation then null; -- somebody else has made it meanwhile
    end;
    execute pg_catalog.format('grant usage on schema %I to inbox_consumer', schema);
end
$$;
grant select, insert on inbox to inbox_consumer;
grant select on inbox_schema to inbox_consumer;
