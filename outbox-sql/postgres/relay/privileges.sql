-- The rights that the relay's role needs and lacks, one row for each table: "grant <privileges> on <object>" gives
-- them. Tables that do not exist are left out. The relay updates no row of the outbox, but hold.sql locks some, which
-- needs the right to update. The last two columns: needed only to record what was sent (keep_sent);
-- only if tableless.
select string_agg(privilege, ', ' order by position) as privileges, object, bool_and(for_sent) as for_sent,
    for_tableless
from (
    select position, privilege, to_regclass(format('%I.%I', :'schema', relation))::text as object, relation = 'outbox_sent_batch' as for_sent,
        false as for_tableless
    from unnest(
        array['select', 'insert', 'update', 'delete', 'select', 'insert', 'update', 'delete', 'select', 'update',
            'select', 'insert', 'update', 'select', 'select', 'insert', 'delete'],
        array['outbox', 'outbox', 'outbox', 'outbox', 'outbox_held', 'outbox_held', 'outbox_held', 'outbox_held',
            'outbox_held_act', 'outbox_held_act', 'outbox_relay', 'outbox_relay', 'outbox_relay',
            'outbox_relay_schema', 'outbox_sent_batch', 'outbox_sent_batch', 'outbox_sent_batch']
    ) with ordinality as needed (privilege, relation, position)
    where not has_table_privilege(to_regclass(format('%I.%I', :'schema', relation)), privilege)
    union all
    select 0, needed.privilege, 'sequence ' || sequence.seqrelid::regclass, false, for_tableless
    from (values ('select', 'select, usage', false), ('usage', 'usage', true)) as needed (privilege, any_of, for_tableless)
    cross join pg_depend as depend
    join pg_attribute as attribute on attribute.attrelid = depend.refobjid and attribute.attnum = depend.refobjsubid
    join pg_sequence as sequence on sequence.seqrelid = depend.objid
    where depend.classid = 'pg_class'::regclass
        and depend.refobjid = to_regclass(format('%I.outbox', :'schema'))
        and attribute.attname = 'id'
        and not has_sequence_privilege(sequence.seqrelid, any_of)
) as lacking
group by object, for_tableless
order by min(position)
