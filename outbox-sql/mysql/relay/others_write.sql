-- Whether other servers write the outbox too, or may, so that rows come with ids that this server has not given out: how many
-- settings say so. Galera; group replication with many primaries; and ids in steps, as servers have them that replicate in a ring.
select count(*)
from /*!80000 performance_schema.global_variables */ /*M! information_schema.global_variables */
where (variable_name = 'wsrep_on' and variable_value = 'ON')
    or (variable_name = 'group_replication_single_primary_mode' and variable_value = 'OFF')
    or (variable_name = 'auto_increment_increment' and variable_value <> '1')
