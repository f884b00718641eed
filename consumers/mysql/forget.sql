-- Forgets the oldest claims that are older than @age_s seconds. The library puts in how many at most, in the place of 1000.
delete from inbox
where seen_at < utc_timestamp(6) - interval @age_s second
order by seen_at
limit 1000
