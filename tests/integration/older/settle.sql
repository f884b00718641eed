-- The messages $1 are confirmed: their rows go.
delete from outbox
where id = any($1::int8[])
