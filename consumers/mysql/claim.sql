-- Claims messages for a consumer: all of them, or none if one has been claimed before (1062). It waits for a
-- transaction that has claimed one of them and is still open. The library repeats the line in parentheses for each
-- message, in the order of the ids, so that two overlapping batches wait for each other and do not deadlock. By hand,
-- after a `set @consumer = …`. Not `insert ignore`, which shortens values that are too long and accepts wrong ones. Not
-- `on duplicate key update` either: if the client has asked for found rows, its count is the same for a first message
-- and a duplicate.
insert into inbox (consumer, message_id)
values
(@consumer, @message_id)
