insert into outbox_schema (version) values (1)
