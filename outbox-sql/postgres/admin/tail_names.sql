-- The parts of the default names of the replication slot and the publication.
select current_database() as database, nspname as schema
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where pg_class.oid = to_regclass(format('%I.outbox', :'schema'))
