-- Whether there is a record of what was sent, and whether this role may read it.
select to_regclass(format('%I.outbox_sent_batch', :'schema')) is not null as there,
    coalesce(has_table_privilege(to_regclass(format('%I.outbox_sent_batch', :'schema')), 'select'), false) as may
