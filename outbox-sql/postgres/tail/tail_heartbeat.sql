-- Something in the log that is this database's, so that the slot's position advances although nobody writes here while others
-- do in other databases. (The function has more parameters in later versions, hence no signature.)
select pg_logical_emit_message(false, 'outbox-relay', '')
where not exists (
    select from pg_proc where proname = 'pg_logical_emit_message' and not has_function_privilege(oid, 'execute')
)
