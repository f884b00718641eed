insert into outbox_relay_schema (version) values (1)
