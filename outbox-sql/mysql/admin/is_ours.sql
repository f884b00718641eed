-- Whether the table outbox is one that `outbox-relay init`, or its files by hand, have made: another has not these columns.
select max(octet_length(message_id) + octet_length(payload_text) + octet_length(headers) + microsecond(deliver_after))
from outbox
where false
