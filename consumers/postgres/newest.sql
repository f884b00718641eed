-- The version of the tables, and which version of what the key $2 names the consumer $1 has applied last. Run after
-- advance.sql, which has locked the row.
select (select version from inbox_schema), (
        select version
        from inbox_newest
        where consumer operator(pg_catalog.=) pg_catalog.convert_from($1::pg_catalog.bytea, 'UTF8')
            and message_key operator(pg_catalog.=) pg_catalog.convert_from($2::pg_catalog.bytea, 'UTF8')
    )
