-- Once on the owning session: takes a lock with this name, which nobody else knows, so that the second connection can
-- recognise the server.
select get_lock(@token, 0)
