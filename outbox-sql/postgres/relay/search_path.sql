-- The second statement of every session of the product (find.sql): from now on a name that is not qualified is one of
-- pg_catalog, whoever may create what in which schema.
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)
