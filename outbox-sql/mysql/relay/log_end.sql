-- Where the binary log ends: the file and the offset in it; no row: there is no log. Requires the privilege BINLOG MONITOR
-- (MariaDB) or REPLICATION CLIENT (MySQL).
show master status
