-- Deletes the rows of the confirmed held messages $1.
delete from :"schema".outbox_held
where id = any($1::int8[])
