-- Writes messages: the library puts the rows of a call in the place of the one below, in the order of the array. Every value
-- is a string of bytes in hex, so that neither the character set of the connection nor the sql_mode can change it.
insert into outbox (message_id, exchange, routing_key, `key`, type, content_type, headers, payload, deliver_after)
values
(x'0190163D8694739BAEA5966C26F8AD91', NULL, x'6F726465722E70616964', x'6F72646572', NULL, NULL, x'7B7D', x'7B7D', '2030-01-01 00:00:00.000000')
