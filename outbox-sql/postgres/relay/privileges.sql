-- What the relay's role may not do and must, a row a table: "grant <privileges> on <object>" would mend it. Tables that
-- are not there do not count. The last column: needed only if the relay is told to remember what it sent.
select string_agg(privilege, ', ' order by position) as privileges, object, bool_and(for_sent) as for_sent
from (
    select position, privilege, to_regclass(relation)::text as object, relation = 'outbox_sent' as for_sent
    from unnest(
        array['select', 'insert', 'delete', 'select', 'insert', 'update', 'delete', 'select', 'update', 'select',
            'insert', 'update', 'select', 'select', 'insert', 'delete'],
        array['outbox', 'outbox', 'outbox', 'outbox_held', 'outbox_held', 'outbox_held', 'outbox_held',
            'outbox_held_act', 'outbox_held_act', 'outbox_relay', 'outbox_relay', 'outbox_relay',
            'outbox_relay_schema', 'outbox_sent', 'outbox_sent', 'outbox_sent']
    ) with ordinality as needed (privilege, relation, position)
    where not has_table_privilege(to_regclass(relation), privilege)
    union all
    select 0, 'select', 'sequence ' || sequence.seqrelid::regclass, false
    from pg_depend as depend
    join pg_attribute as attribute on attribute.attrelid = depend.refobjid and attribute.attnum = depend.refobjsubid
    join pg_sequence as sequence on sequence.seqrelid = depend.objid
    where depend.classid = 'pg_class'::regclass
        and depend.refobjid = to_regclass('outbox')
        and attribute.attname = 'id'
        and not has_sequence_privilege(sequence.seqrelid, 'select, usage')
) as lacking
group by object
order by min(position)
