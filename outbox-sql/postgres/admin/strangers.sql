-- What others have added to the outbox and to outbox_held, or changed in them, that stops a relay, or may stop it: a
-- row each, with "problem" or "advice", and what to do about it. The answers are for the role that asks, so it must be
-- the relay's.
with
    tables as (
        select name, to_regclass(format('%I.%I', :'schema', name)) as relation
        from (values ('outbox'), ('outbox_held')) as named (name)
    ),
    wanted_column (tables, name, type) as (
        values
            ('outbox outbox_held', 'id', 'bigint'),
            ('outbox outbox_held', 'message_id', 'uuid'),
            ('outbox outbox_held', 'exchange', 'text'),
            ('outbox outbox_held', 'routing_key', 'text'),
            ('outbox outbox_held', 'key', 'text'),
            ('outbox outbox_held', 'type', 'text'),
            ('outbox outbox_held', 'content_type', 'text'),
            ('outbox outbox_held', 'headers', 'jsonb'),
            ('outbox outbox_held', 'payload', 'bytea'),
            ('outbox', 'payload_text', 'text'),
            ('outbox outbox_held', 'created_at', 'timestamp with time zone'),
            ('outbox outbox_held', 'deliver_after', 'timestamp with time zone'),
            ('outbox_held', 'state', 'text'),
            ('outbox_held', 'skipped', 'boolean'),
            ('outbox_held', 'attempts', 'integer'),
            ('outbox_held', 'next_attempt_at', 'timestamp with time zone'),
            ('outbox_held', 'last_error', 'text'),
            ('outbox_held', 'held_at', 'timestamp with time zone'),
            ('outbox_held', 'extra', 'jsonb')
    ),
    there_column as (
        select relation, attname as name, atttypid::regtype::text as type
        from tables
        join pg_attribute on attrelid = relation and attnum > 0 and not attisdropped
    ),
    findings as (
        select 1 as place, 'problem' as severity,
            case when there.type is null
                then format('column %s of %s is missing: alter table %2$s add column %1$I %3$s', wanted.name, tables.relation, wanted.type)
                else format('column %s of %s is of type %s, and has to be %s: alter table %2$s alter column %1$I type %4$s using %1$I::%4$s',
                    wanted.name, tables.relation, there.type, wanted.type)
            end as words
        from wanted_column as wanted
        join tables on tables.name = any(string_to_array(wanted.tables, ' '))
        left join there_column as there on there.relation = tables.relation and there.name = wanted.name
        where tables.relation is not null
            and there.type is distinct from wanted.type
        union all
        select 2, 'problem',
            format('row level security of %s hides rows from %s: alter table %1$s disable row level security, or alter role %2$s bypassrls',
                relation, quote_ident(current_user))
        from tables
        where row_security_active(relation)
        union all
        select 3, 'problem',
            format('rule %s of %s does something else instead of what the relay says: drop rule %1$I on %2$s', rulename, relation)
        from tables
        join pg_rewrite on ev_class = relation
        where is_instead
        union all
        select 4, 'advice',
            format('rule %s of %s also does something when the relay moves or deletes messages: see that it refuses none', rulename, relation)
        from tables
        join pg_rewrite on ev_class = relation
        where not is_instead
        union all
        select 5, 'advice',
            format('trigger %s of %s is not the relay''s: see that it refuses none of its inserts, updates and deletes, and skips none', tgname,
                relation)
        from tables
        join pg_trigger on tgrelid = relation
        where not tgisinternal
            and tgenabled <> 'D'
            and tgfoid <> all (
                select oid
                from pg_proc
                where pronamespace = (select oid from pg_namespace where nspname = :'schema')
                    and proname in ('outbox_payload', 'outbox_headers')
            )
        union all
        select 6, 'advice',
            format('foreign key %s of %s keeps messages from being deleted from %s: have it `on delete cascade`, or drop it', conname,
                conrelid::regclass, relation)
        from tables
        join pg_constraint on confrelid = relation
        where contype = 'f'
            and confdeltype in ('a', 'r')
            and conparentid = 0
        union all
        select 7, 'problem',
            format('default_transaction_read_only is on, so the relay can change nothing: alter role %1$s set default_transaction_read_only = off',
                quote_ident(current_user))
        where current_setting('default_transaction_read_only')::bool
    )
select severity, words
from findings
order by place, words
