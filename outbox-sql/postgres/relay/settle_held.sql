-- The held messages $1 are confirmed: their rows go.
delete from :"schema".outbox_held
where id = any($1::int8[])
