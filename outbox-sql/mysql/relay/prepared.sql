-- The transactions that were prepared (XA) and are not over, of the whole server: a session that has prepared one and is gone
-- holds no lock in MariaDB's lists.
xa recover
