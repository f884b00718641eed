-- Forgets up to $2 claims that are older than $1 seconds, the oldest first, if the tables are of the version $3; says the
-- version found, and how many. Two at once wait for each other and do not deadlock: rows are deleted in the order of
-- their place in the table. (FOR UPDATE would need a right that consumers do without.)
with forgotten as (
    delete from inbox
    where ctid = any(array(
        select ctid
        from inbox
        where seen_at < now() - make_interval(secs => $1::bigint)
            and (select version from inbox_schema) = $3::integer
        order by seen_at
        limit $2::bigint))
    returning 1
)
select (select version from inbox_schema), (select count(*) from forgotten)
