-- Whether another relay waits for the ownership and reaches its broker: see fit.sql.
select coalesce(is_used_lock(@fit_name) <> connection_id(), 0)
