-- The same with its new name: MySQL 8.2 and later.
show binary log status
