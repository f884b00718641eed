-- Which server this is. MySQL has the first name. MariaDB has the second, from 10.11.9 on and not in all later series, and
-- forms it of port and network address, which containers on different hosts may share.
show variables where variable_name in ('server_uuid', 'server_uid')
