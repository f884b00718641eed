-- Whether the table outbox was created by `outbox-relay init`, or by hand from its files: others do not have these
-- columns.
select max(octet_length(message_id) + octet_length(payload_text) + octet_length(headers) + microsecond(deliver_after))
from outbox
where false
