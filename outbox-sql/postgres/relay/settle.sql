-- Deletes the rows of the confirmed messages $1.
delete from :"schema".outbox
where id = any($1::int8[])
