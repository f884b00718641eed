-- Deletes the oldest of the claims that are older than @age_s seconds. The library replaces 1000 by the most that it
-- deletes.
delete from inbox
where seen_at < utc_timestamp(6) - interval @age_s second
order by seen_at
limit 1000
