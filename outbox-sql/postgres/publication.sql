-- What a source that reads the log needs (mode = "tail" or "auto"): the publication, which passes on only inserts into
-- the outbox. Run after schema.sql; if the publication exists, nothing is done. Its lock blocks only a vacuum or a
-- change of the table. By hand, with -c "set outbox.publication = 'name'" before -f if the source has another name for it:
-- psql --single-transaction -v schema=public -f publication.sql
--
-- The relay makes the slot when it starts, because a slot that nobody reads keeps the server's log for ever. Also
-- needed:
--                            the server                                               the relay's role
--   PostgreSQL               wal_level = logical in postgresql.conf, restart          alter role relay replication
--   Amazon RDS, Aurora       rds.logical_replication = 1 in the parameter group,      grant rds_replication to relay
--                            reboot
--   Google Cloud SQL         the flag cloudsql.logical_decoding = on                  alter user relay with replication
--   Azure                    wal_level = logical in the server's parameters           alter role relay replication
--                            (single server: azure.replication_support = logical),
--                            restart
set local search_path = pg_catalog, pg_temp; -- names that are not qualified mean the same for everybody
set local outbox.schema = :'schema';

do $$
declare
    schema constant text := current_setting('outbox.schema');
    name constant text := coalesce(
        nullif(current_setting('outbox.publication', true), ''),
        left(regexp_replace(lower('outbox_relay_' || schema), '[^a-z0-9_]', '_', 'g'), 63)
    );
begin
    if not exists (select from pg_publication where pubname = name) then
        -- The second option is for a partitioned outbox; otherwise it has no effect.
        execute format('create publication %I for table %I.outbox with (publish = ''insert'', '
            'publish_via_partition_root = true)', name, schema);
    elsif not exists (
        select
        from pg_publication_tables
        where pubname = name
            and schemaname = schema
            and tablename = 'outbox'
    ) then
        execute format('alter publication %I add table %I.outbox', name, schema);
    end if;
exception
    when insufficient_privilege then
        raise warning 'publication % was not made, so the relay polls: %', name, sqlerrm;
end
$$;
