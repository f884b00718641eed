-- Claims messages for a consumer: all of them, or, if one has been claimed (1062), none. It waits for a transaction that has
-- claimed one of them and is still open. The library repeats the line in parentheses for each message, in the order of the
-- ids, so that two batches that overlap wait for each other and do not deadlock. By hand, after a `set @consumer = …`.
-- Not `insert ignore`, which cuts what is too long and lets in what is wrong; and not `on duplicate key update`, whose count of
-- rows says the same of a first and of a duplicate where the client has asked for found rows.
insert into inbox (consumer, message_id)
values
(@consumer, @message_id)
