-- How often the session was told to roll back. Rollbacks by the server itself, after a deadlock, are not counted.
show session status like 'Com_rollback'
