-- Which server this is, and which of its databases: two servers have the same number only if one began as a physical copy of
-- the other, as a standby does. Everybody may ask this, unless an administrator has revoked it.
select system_identifier || '.' || (select oid from pg_database where datname = current_database()) from pg_control_system()
