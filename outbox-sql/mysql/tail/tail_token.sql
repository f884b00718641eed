-- By the owning session, once: a lock of this name, which nobody else knows, by which the second connection recognises the server.
select get_lock(@token, 0)
