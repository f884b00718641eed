-- Records that a consumer applies version $3 of what a key names, if it is newer than the last one applied, and if the
-- tables have the version $4: returns the version of the tables, and whether it is newer. $1 consumer, $2 key, both
-- UTF-8 bytes. It waits for a transaction that has changed the same key, and locks the row even if it changes nothing.
-- Everything is qualified, and the conflict named, for the reasons in claim.sql.
-- conflict named, as claim.sql says.
with advanced as (
    insert into inbox_newest as newest (consumer, message_key, version)
    select pg_catalog.convert_from($1::pg_catalog.bytea, 'UTF8'), pg_catalog.convert_from($2::pg_catalog.bytea, 'UTF8'),
        $3::pg_catalog.int8
    where (select version from inbox_schema) operator(pg_catalog.=) $4::pg_catalog.int4
    on conflict (consumer, message_key) do update
    set version = excluded.version, advanced_at = excluded.advanced_at
    where newest.version operator(pg_catalog.<) excluded.version
    returning 1
)
select (select version from inbox_schema), (select pg_catalog.count(*) from advanced)
