-- Where the binary log ends: the file and the offset in it; no row: there is none. Takes the privilege BINLOG MONITOR (MariaDB),
-- REPLICATION CLIENT (MySQL).
show master status
