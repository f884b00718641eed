-- Cancels a message whose deliver_after is to come, by its message_id, 16 bytes or a UUID as a text. Says true if it was
-- cancelled and will not be sent: call outbox_cancel('0190163d-…', @cancelled). Grant execute on it to those who may. A
-- procedure, because a function takes what the trigger does (error 1419).
--
-- It is looked for without a lock, and deleted where it was seen, by its primary key. With REPEATABLE READ, the default, a delete
-- locks all that it reads until the caller commits: by message_id the whole outbox, which has no index for it, and of what is
-- not there the place where it would be, which is where all new ids go. concat() keeps indexes out of the deletes for the same
-- reason. A held message has the id that it had in the outbox, so a relay that moves it meanwhile cannot hide it. A caller whose
-- snapshot is older than the message does not find it.
create procedure outbox_cancel(message varbinary(37), out cancelled boolean)
sql security definer
begin
    declare wanted varbinary(37) default message;
    declare found_id bigint;
    declare is_held boolean;
    declare continue handler for not found begin end;
    if octet_length(message) = 36 then
        set wanted = unhex(replace(convert(message using latin1), '-', ''));
    end if;
    select id, held
    into found_id, is_held
    from (
        select id, false as held from outbox where message_id = wanted and deliver_after > utc_timestamp(6)
        union all
        select id, true from outbox_held where message_id = wanted and state = 'scheduled'
    ) as scheduled
    limit 1;
    set cancelled = false;
    if not is_held then
        delete from outbox where id = found_id and concat(message_id) = wanted and deliver_after > utc_timestamp(6);
        set cancelled = row_count() > 0;
    end if;
    if found_id is not null and not cancelled then
        delete from outbox_held where id = found_id and concat(message_id) = wanted and concat(state) = 'scheduled';
        set cancelled = row_count() > 0;
    end if;
end
