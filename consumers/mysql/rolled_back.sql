-- How often the session was told to roll back. The server rolls back by itself as well, after a deadlock, which does not count.
show session status like 'Com_rollback'
