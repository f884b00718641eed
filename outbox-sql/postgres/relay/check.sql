-- What `outbox-relay check` asks of a database, whether the tables exist or not. NULL: cannot be answered without them.
with
    relation as (
        select outbox.oid, outbox.reloptions, toast.reloptions as toast_reloptions
        from pg_class as outbox
        left join pg_class as toast on toast.oid = outbox.reltoastrelid
        where outbox.oid = to_regclass(format('%I.outbox', :'schema'))
    ),
    id_sequence as (
        select sequence.seqrelid, sequence.seqcache
        from pg_depend as depend
        join pg_attribute as attribute on attribute.attrelid = depend.refobjid and attribute.attnum = depend.refobjsubid
        join pg_sequence as sequence on sequence.seqrelid = depend.objid
        where depend.classid = 'pg_class'::regclass
            and depend.refobjid = to_regclass(format('%I.outbox', :'schema'))
            and attribute.attname = 'id'
    ),
    -- Columns that others have added; and those of them that must not be NULL, but get a value only from whoever writes
    -- a row.
    added as (
        select attrelid = (select oid from relation) as is_outbox, attnum, attname,
            attnotnull and not atthasdef and attidentity = '' as needed
        from pg_attribute
        where attrelid = any(array[to_regclass(format('%I.outbox', :'schema')), to_regclass(format('%I.outbox_held', :'schema'))])
            and attnum > 0
            and not attisdropped
            and attname <> all (array['id', 'message_id', 'exchange', 'routing_key', 'key', 'type', 'content_type', 'headers',
                'payload', 'payload_text', 'created_at', 'deliver_after'])
            and (attrelid = (select oid from relation) or attname <> all (array['state', 'skipped', 'attempts',
                'next_attempt_at', 'last_error', 'held_at', 'extra']))
    ),
    options as (
        select option.option_name, option.option_value
        from relation, pg_options_to_table(relation.reloptions || relation.toast_reloptions) as option
    )
select
    current_database() as database,
    current_user as role,
    pg_backend_pid() as pid,
    pg_is_in_recovery() as standby,
    (select seqcache from id_sequence) as sequence_cache,
    (select seqrelid::regclass::text from id_sequence) as sequence,
    current_setting('autovacuum')::bool and current_setting('track_counts')::bool as autovacuum,
    exists (select from options where option_name = 'autovacuum_enabled' and not option_value::bool) as vacuum_off,
    -- Who else may create objects in their schema, as the statement that takes this right away.
    (
        select format('revoke create on schema %I from %s', nspname, string_agg(grantee, ', ' order by grantee))
        from (
            select distinct nspname, case when acl.grantee = 0 then 'public' else acl.grantee::regrole::text end as grantee
            from pg_namespace, aclexplode(nspacl) as acl
            where nspname = :'schema'
                and acl.privilege_type = 'CREATE'
                and acl.grantee <> all (
                    select nspowner
                    union all
                    select relowner from pg_class where oid in (select oid from relation)
                )
        ) as creators
        group by nspname
    ) as create_revoke,
    (select string_agg(quote_ident(attname), ', ' order by attnum) from added where is_outbox) as added,
    (select string_agg(quote_ident(attname), ', ' order by attnum) from added where is_outbox and needed) as outbox_needs,
    (select string_agg(quote_ident(attname), ', ' order by attnum) from added where not is_outbox and needed) as held_needs
