-- What `init` and `check` must know of a server whose log is to be read by the slot $1 through the publication $2.
-- Names are returned quoted for SQL. Columns that later versions added to a view are read as JSON, and are NULL where
-- they do not exist. $3: the conditions that the table must enforce, as in tail_look.sql.
with
    published as (
        select to_jsonb(tables) as attributes
        from pg_publication_tables as tables
        join pg_class as relation on relation.relname = tables.tablename and relation.oid = format('%I.outbox', :'schema')::regclass
        join pg_namespace as namespace
            on namespace.oid = relation.relnamespace and namespace.nspname = tables.schemaname
        where tables.pubname = $2::text
    ),
    publication as (
        select pubinsert,
            exists (select from published) or puballtables or member.found as has_outbox,
            (select relkind = 'p' and not pubviaroot from pg_class where oid = format('%I.outbox', :'schema')::regclass)
                as in_parts,
            exists (
                select
                from published
                where attributes ->> 'rowfilter' is not null
                    or not attributes -> 'attnames' @> '["id", "message_id", "exchange", "routing_key", "key", "type",
                        "content_type", "headers", "payload", "created_at", "deliver_after"]'
            ) as narrowed
        from pg_publication
        cross join lateral (
            select exists (
                select
                from pg_publication_rel
                where prpubid = pg_publication.oid
                    and prrelid = format('%I.outbox', :'schema')::regclass
            ) as found
        ) as member
        where pubname = $2::text
    ),
    slot as (
        select active, wal_status,
            plugin is distinct from 'pgoutput' or database is distinct from current_database() as foreign_slot,
            case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8 end as retained
        from pg_replication_slots
        where slot_name = $1::text
    ),
    -- The one role, except the table's owner, that may delete from the outbox: it is the relay's.
    relay as (
        select case when count(*) = 1 then min(acl.grantee) end as role
        from pg_class, aclexplode(relacl) as acl
        where pg_class.oid = format('%I.outbox', :'schema')::regclass
            and acl.privilege_type = 'DELETE'
            and acl.grantee not in (0, relowner)
    ),
    reader as (
        select quote_ident(rolname) as role,
            rolsuper or rolreplication or coalesce(pg_has_role(oid, to_regrole('rds_replication'), 'usage'), false) as may_read
        from pg_roles
        where oid = (select role from relay)
    )
select
    case
        when to_regrole('rds_superuser') is not null then 'rds'
        when to_regrole('cloudsqlsuperuser') is not null then 'cloudsql'
        when to_regrole('azure_pg_admin') is not null then 'azure'
        else 'plain'
    end as service,
    quote_ident(current_user) as role,
    format('%I.outbox', :'schema')::regclass::text as outbox,
    quote_ident($2::text) as publication,
    current_setting('wal_level') as wal_level,
    getdatabaseencoding() as encoding,
    (select rolsuper or rolreplication from pg_roles where rolname = current_user)
        or coalesce(pg_has_role(to_regrole('rds_replication'), 'usage'), false) as may_read,
    (select count(*) from publication) > 0 as publication_there,
    coalesce((select has_outbox from publication), false) as has_outbox,
    coalesce((select pubinsert from publication), false) as inserts,
    coalesce((select narrowed from publication), false) as narrowed,
    coalesce((select in_parts from publication), false) as in_parts,
    (select count(*) from slot) > 0 as slot_there,
    coalesce((select foreign_slot from slot), false) as slot_foreign,
    coalesce((select active from slot), false) as slot_active,
    coalesce((select wal_status = 'lost' from slot), false) as slot_lost,
    coalesce((select greatest(retained, 0) from slot), 0) as retained,
    current_setting('max_replication_slots') as slots_max,
    (select count(*) from pg_replication_slots) as slots_used,
    current_setting('max_wal_senders') as senders_max,
    (select count(*) from pg_stat_replication) as senders_used,
    current_setting('max_slot_wal_keep_size') as keep_size,
    (select role from reader) as relay_role,
    coalesce((select may_read from reader), false) as relay_may_read,
    (
        select string_agg(substring(wanted from '\((\w+)'), ', ' order by number)
        from unnest($3::text::text[]) with ordinality as limits (wanted, number)
        where not exists (
            select
            from pg_constraint
            where conrelid = format('%I.outbox', :'schema')::regclass
                and contype = 'c'
                and regexp_replace(pg_get_expr(conbin, conrelid), '[\s()]', '', 'g')
                    = regexp_replace(wanted, '[\s()]', '', 'g')
                and pg_get_constraintdef(oid) not like '%NOT ENFORCED%' -- exists since 18
        )
    ) as unlimited
