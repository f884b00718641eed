-- Which of the current limits, triggers, functions, views and tables are not there as `init` makes them: one row each. $1 is
-- the text of schema_functions.sql and $2 that of schema_writing.sql, which say what there must be. `state` is missing,
-- altered or disabled. `before` is what must be run before these two scripts are run again; NULL: nothing. A NULL
-- relation: the table is absent. A check constraint is recognised by its condition, whatever its name. One that is "not
-- valid" counts, because it checks every row that is written. Expressions are compared without blanks and parentheses,
-- which the server may change.
with
    place as (
        select format('%I.outbox', :'schema')::regclass as outbox, to_regclass(format('%I.outbox_held', :'schema')) as held,
            (select oid from pg_namespace where nspname = :'schema') as schema
    ),
    wanted_constraint as (
        select place.outbox as relation, said.parts[1] as name, said.parts[2] as condition
        from place,
            regexp_matches($2::text, '\(\s*''(outbox_\w+)'',\s*''((?:octet_length|payload is)[^'']+)''', 'g') as said (parts)
        union all
        select held, name, condition
        from place,
            (
                values
                    ('outbox_held_state_check', 'state = any (array[''scheduled''::text, ''retrying''::text, ''waiting''::text, ''dead''::text])'),
                    ('outbox_held_check', 'state <> ''waiting''::text or key is not null')
            ) as said (name, condition)
        where held is not null
    ),
    there_constraint as (
        select conrelid as relation, conname as name,
            case when pg_get_constraintdef(oid) not like '%NOT ENFORCED%'
                then lower(regexp_replace(pg_get_expr(conbin, conrelid), '[\s()]', '', 'g')) end as condition
        from pg_constraint
        where contype = 'c'
    ),
    lacking_constraint as (
        select format('the limit %I on %s', name, relation) as what,
            case when taken then 'altered' else 'missing' end as state,
            case
                when relation = held then
                    format('alter table %s %sadd constraint %I check (%s) not valid', relation,
                        case when taken then format('drop constraint %I, ', name) end, name, condition)
                when taken then format('alter table %s drop constraint %I', relation, name)
            end as before
        from wanted_constraint as wanted
        cross join place
        cross join lateral (
            select exists (
                select
                from there_constraint as there
                where there.relation = wanted.relation
                    and there.name = wanted.name
            ) as taken
        ) as named
        where not exists (
            select
            from there_constraint as there
            where there.relation = wanted.relation
                and there.condition = lower(regexp_replace(wanted.condition, '[\s()]', '', 'g'))
        )
    ),
    wanted_trigger (name, definition) as (
        values
            ('outbox_payload', 'CREATE TRIGGER outbox_payload BEFORE INSERT ON % FOR EACH ROW WHEN (((new.payload_text IS NOT NULL)'
                || ' OR (new.payload IS NULL))) EXECUTE FUNCTION %.outbox_payload()'),
            ('outbox_headers', 'CREATE TRIGGER outbox_headers BEFORE INSERT OR UPDATE OF headers ON % FOR EACH ROW WHEN '
                || '(((pg_column_size(new.headers) > 262144) OR jsonb_path_exists(new.headers, %))) EXECUTE FUNCTION %.outbox_headers()')
    ),
    lacking_trigger as (
        select format('the trigger %I on %s', wanted.name, outbox) as what,
            case when there.oid is null then 'missing' else 'altered' end as state,
            case when there.oid is not null then format('drop trigger %I on %s', wanted.name, outbox) end as before
        from wanted_trigger as wanted
        cross join place
        left join pg_trigger as there on there.tgrelid = outbox and there.tgname = wanted.name
        where pg_get_triggerdef(there.oid) like wanted.definition is not true
        union all
        -- In a partition the trigger has the same name.
        select format('the trigger %I on %s', tgname, tgrelid::regclass), 'disabled',
            format('alter table %s enable trigger %I', tgrelid::regclass, tgname)
        from place
        cross join lateral (
            select outbox as relation
            union
            select relid from pg_partition_tree(outbox)
        ) as parts
        join pg_trigger on tgrelid = relation
        where tgname in (select name from wanted_trigger)
            and tgenabled not in ('O', 'A')
    ),
    written_function as (
        -- Each piece begins with the function's name; a piece from a `format` has placeholders.
        select substring(split_part(piece, '(', 1) from '\w+$') as name, split_part(piece, '$$', 1) as head,
            case when left(piece, 1) = '%'
                then format(split_part(piece, '$$', 2), :'schema', format('%I.outbox', :'schema'), 'outbox.' || :'schema')
                else split_part(piece, '$$', 2) end as body
        from unnest(array[$1::text, $2::text]) as script,
            regexp_split_to_table(script, 'create or replace function ') with ordinality as pieces (piece, number)
        where number > 1
    ),
    lacking_function as (
        select format('the function %I.%I', :'schema', name) as what,
            case when exists (select from pg_proc where pronamespace = schema and proname = name)
                then 'altered' else 'missing' end as state,
            null as before
        from written_function
        cross join place
        where not exists (
            select
            from pg_proc
            where pronamespace = schema
                and proname = name
                and prosrc = body
                and prosecdef = (head like '%security definer%')
                and lower(array_to_string(proconfig, E'\n')) is not distinct from ( -- the server changes the case of some
                    select lower(string_agg(setting[1] || '=' || replace(setting[2], '''', ''), E'\n' order by number))
                    from regexp_matches(head, '^set (\w+) = (.*)$', 'gn') with ordinality as settings (setting, number)
                )
        )
    ),
    lacking_view as (
        -- If the table is renamed, the view follows it.
        select format('the view %I.outbox_new', :'schema') as what, case when there.oid is null then 'missing' else 'altered' end as state,
            null as before
        from place
        left join pg_class as there on relnamespace = schema and relname = 'outbox_new' and relkind = 'v'
        where not exists (
            select
            from pg_rewrite
            join pg_depend on classid = 'pg_rewrite'::regclass and objid = pg_rewrite.oid
            where ev_class = there.oid
                and refobjid = outbox
        )
    )
select what, state, before
from (
    select 0 as kind, format('the table %I.outbox_sent_batch', :'schema') as what, 'missing' as state, null as before
    where to_regclass(format('%I.outbox_sent_batch', :'schema')) is null
    union all
    select 1, * from lacking_constraint
    union all
    select 2, * from lacking_trigger
    union all
    select 3, * from lacking_function
    union all
    select 4, * from lacking_view
) as lacks
order by kind, what
