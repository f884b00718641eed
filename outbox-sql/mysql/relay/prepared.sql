-- The prepared transactions (XA) that are still open, of the whole server: in MariaDB's list of locks, a transaction has
-- none after its session has ended.
xa recover
