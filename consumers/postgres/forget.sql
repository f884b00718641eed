-- Forgets up to $2 claims that are older than $1 seconds, the oldest first, if the tables are of the version $3; says the
-- version found, and how many. Two at once wait for each other and do not deadlock: rows are deleted in the order of
-- their place in the table. (FOR UPDATE would need a right that consumers do without.)
-- A place is one of a heap: where the inbox is partitioned, each partition has a row at the same. The array makes it a look
-- at places only, in their order; the pair, as text because older servers cannot hash places, leaves those of the right
-- partition, and "is true" keeps it from becoming a join with an order of its own. All is qualified, as claim.sql says.
with oldest as materialized (
    select tableoid as heap, ctid as place
    from inbox
    where seen_at operator(pg_catalog.<) (pg_catalog.now()
            operator(pg_catalog.-) pg_catalog.make_interval(secs => $1::pg_catalog.int8))
        and (select version from inbox_schema) operator(pg_catalog.=) $3::pg_catalog.int4
    order by seen_at
    limit $2::pg_catalog.int8
), forgotten as (
    delete from inbox
    where ctid operator(pg_catalog.=) any(array(select place from oldest))
        and (
            (tableoid::pg_catalog.text operator(pg_catalog.||) ctid::pg_catalog.text) operator(pg_catalog.=) any(
                select heap::pg_catalog.text operator(pg_catalog.||) place::pg_catalog.text from oldest)
        ) is true
    returning 1
)
select (select version from inbox_schema), (select pg_catalog.count(*) from forgotten)
