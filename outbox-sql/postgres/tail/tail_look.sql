-- What concerns reading the log of the outbox $1 (its oid) by the slot $2 and the publication $3: one row. trouble:
-- what an operator must repair, with the command to run; NULL: nothing. Columns that later versions added to a view are
-- read as JSON, and are NULL where they do not exist. $5: conditions that the table must enforce, NULL: none; one that
-- is "not valid" is enough, because the log brings only rows that are written from now on. Without wal_level = logical
-- nothing is asked of the log, because that is an error on Amazon Aurora.
with
setting as (
    select
        current_setting('wal_level') as wal_level,
        current_setting('max_replication_slots') as slots_max,
        current_setting('max_wal_senders') as senders_max,
        case
            when current_setting('wal_level') <> 'logical' then null
            when pg_is_in_recovery() then pg_last_wal_replay_lsn()
            else pg_current_wal_lsn()
        end as log_end
),
outbox as (
    select nspname as schema_name, relname as table_name, $1::oid::regclass::text as words
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = $1::oid
),
limits as (
    select string_agg(substring(wanted from '\((\w+)'), ', ' order by number) as lacking
    from unnest($5::text::text[]) with ordinality as limits (wanted, number)
    where not exists (
        select
        from pg_constraint
        where conrelid = $1::oid
            and contype = 'c'
            and regexp_replace(pg_get_expr(conbin, conrelid), '[\s()]', '', 'g') = regexp_replace(wanted, '[\s()]', '', 'g')
            and pg_get_constraintdef(oid) not like '%NOT ENFORCED%' -- from 18 on
    )
),
publication as (
    -- The view has the whole answer, but fails if a publication is dropped at that moment, and the failure would cost
    -- the session. So it is asked only where nothing else says that the outbox is in the publication: that may have all
    -- tables of the schema.
    select
        pubinsert as inserts,
        case
            when puballtables or member.attributes is not null then true
            else exists (
                select
                from pg_publication_tables as tables
                where tables.pubname = pg_publication.pubname
                    and tables.schemaname = schema_name
                    and tables.tablename = table_name
            )
        end as has_outbox,
        (select relkind = 'p' and not pubviaroot from pg_class where pg_class.oid = $1::oid) as in_parts,
        member.attributes ->> 'prqual' as filter,
        (
            select jsonb_agg(attname)
            from jsonb_array_elements_text(nullif(member.attributes -> 'prattrs', 'null')) as published (number)
            join pg_attribute on attrelid = $1::oid and attnum = number::int2
        ) as columns
    from pg_publication
    cross join outbox
    left join lateral (
        select to_jsonb(pg_publication_rel)
        from pg_publication_rel
        where prpubid = pg_publication.oid
            and prrelid = $1::oid
    ) as member (attributes) on true
    where pubname = $3::text
),
slot as (
    select
        slots.*,
        (
            wal_status = 'lost'
            or restart_lsn is null
            or coalesce(to_jsonb(slots) ->> 'conflicting', 'false') = 'true'
            or to_jsonb(slots) ->> 'invalidation_reason' is not null
        ) and active_pid is null as lost,
        activity.pid as known_reader, -- it may have begun after the list of processes was made
        coalesce(activity.application_name, '') as reader,
        coalesce(activity.application_name = current_setting('application_name') and activity.usename = session_user,
            false) as read_by_relay -- of this source
    from pg_replication_slots as slots
    left join pg_stat_activity as activity on activity.pid = active_pid
    where slot_name = $2::text
)
select
    case
        when wal_level = 'logical'
            then (select system_identifier from pg_control_system()) || ' ' || extract(epoch from pg_postmaster_start_time())
    end as server,
    case when wal_level = 'logical' then (select system_identifier from pg_control_system())::text end as system,
    case
        when log_end is not null and not pg_is_in_recovery() then substr(pg_walfile_name(log_end), 1, 8)
    end as timeline,
    case
        when getdatabaseencoding() <> 'UTF8' then
            format('the database has encoding %s, and the log can be used only with UTF8', getdatabaseencoding())
        when wal_level <> 'logical' then
            format('wal_level is %s: set wal_level = logical and restart the server', wal_level)
        when not (select rolsuper or rolreplication from pg_roles where rolname = session_user)
            and not coalesce(pg_has_role(session_user, to_regrole('rds_replication'), 'member'), false) then
            case when to_regrole('rds_replication') is null
                then format('the relay''s role may not read the log: alter role %I replication', session_user)
                else format('the relay''s role may not read the log: grant rds_replication to %I', session_user)
            end
        when limits.lacking is not null then
            format('table %s has no limit on %s, so what its log brings may be larger than a relay can hold: run `outbox-relay init` as its owner, which puts that back',
                words, limits.lacking)
        when publication.inserts is null then
            format('publication "%s" does not exist: run `outbox-relay init`, or: create publication %1$I for table %s with (publish = ''insert'')',
                $3::text, words)
        when not publication.has_outbox then
            format('publication "%s" does not contain the outbox: alter publication %1$I add table %s', $3::text, words)
        when publication.in_parts then
            format('publication "%s" passes on what is inserted as rows of the partitions: alter publication %1$I set (publish_via_partition_root = true)',
                $3::text)
        when not publication.inserts then
            format('publication "%s" does not publish inserts: alter publication %1$I set (publish = ''insert'')', $3::text)
        when publication.filter is not null then
            format('publication "%s" leaves out rows of the outbox: alter publication %1$I set table %s', $3::text, words)
        when not publication.columns @> '["id", "message_id", "exchange", "routing_key", "key", "type", "content_type",
            "headers", "payload", "created_at", "deliver_after"]' then
            format('publication "%s" leaves out columns of the outbox: alter publication %1$I set table %s', $3::text, words)
        when slot.plugin not in ('pgoutput', '') or slot.database <> current_database() then -- '': it is being made
            format('replication slot "%s" is not the relay''s (plugin %s, database %s): drop it, or set `slot` to another name',
                $2::text, slot.plugin, slot.database)
        when slot.slot_type <> 'logical' then
            format('replication slot "%s" is not the relay''s (%s): drop it, or set `slot` to another name', $2::text,
                slot.slot_type)
        when slot.known_reader is not null and not slot.read_by_relay then
            format('replication slot "%s" is read by process %s (%s): end it, or set `slot` to another name', $2::text,
                slot.active_pid, coalesce(nullif(slot.reader, ''), 'whose name this role may not see'))
        when slot.slot_name is null
            and (select count(*) from pg_replication_slots) >= slots_max::int then
            format('no replication slot is free: raise max_replication_slots (now %s) and restart, or drop one', slots_max)
        when slot.active_pid is null
            and (select count(*) from pg_stat_replication) >= senders_max::int then
            format('no process is free to send the log: raise max_wal_senders (now %s) and restart', senders_max)
    end as trouble,
    (select pg_settings.setting::int8 from pg_settings where name = 'wal_sender_timeout') as sender_timeout_ms,
    slot.slot_name is not null as slot_exists,
    coalesce(slot.lost, false) as slot_lost,
    coalesce(to_jsonb(slot) ->> 'failover', 'true') = 'false' as slot_unmarked, -- before 17 there is no such mark
    coalesce(slot.active_pid, 0) as reader_pid,
    coalesce(slot.confirmed_flush_lsn, '0/0') as confirmed,
    coalesce(greatest(pg_wal_lsn_diff(log_end, slot.restart_lsn), 0), 0)::int8 as retained,
    hashtextextended($4::text, 0) as probe_hash
from setting
cross join outbox
cross join limits
left join publication on true
left join slot on true
