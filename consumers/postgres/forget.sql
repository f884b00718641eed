-- Deletes up to $2 claims that are older than $1 seconds, the oldest first, if the tables have the version $3; returns
-- the version found, and how many were deleted. Two such statements wait for each other and do not deadlock, because
-- rows are deleted in the order of their ctid. (FOR UPDATE would need a right that consumers do not have.)
--
-- A ctid is unique only within a partition, so tableoid is compared too. With the array the server only looks at these
-- ctids, in their order. The pair is compared as text, because older servers cannot hash a ctid; "is true" keeps this
-- comparison from becoming a join with an order of its own. Everything is qualified, for the reasons in claim.sql.
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
