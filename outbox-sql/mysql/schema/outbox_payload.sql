-- Makes payload of payload_text, and 16 bytes of a message_id that is a text (by way of latin1, in which every byte is a
-- character). Only at an INSERT: what is there stays.
-- Where the server has a binary log, a trigger takes the privilege SUPER, or log_bin_trust_function_creators = 1 (error 1419). It
-- can be left out: then the checks of the table let in no payload_text and no id as a text, and all else works as it does.
create trigger outbox_payload before insert on outbox for each row
begin
    if new.payload is null and new.payload_text is null then
        signal sqlstate '22004'
            set message_text = 'a message has no body: give payload (bytes) or payload_text (text); an empty one is ''''';
    elseif new.payload is not null and new.payload_text is not null then
        signal sqlstate '22000'
            set message_text = 'a message has two bodies: give either payload (bytes) or payload_text (text)';
    end if;
    if new.payload_text is not null then
        set new.payload = convert(new.payload_text using utf8mb4);
        set new.payload_text = null;
    end if;
    if octet_length(new.message_id) = 36 then
        if convert(new.message_id using latin1) not regexp '^[[:xdigit:]]{8}(-[[:xdigit:]]{4}){3}-[[:xdigit:]]{12}$' then
            signal sqlstate '22000'
                set message_text = 'a message_id of 36 bytes is no UUID: give 16 bytes, or a UUID as a text';
        end if;
        set new.message_id = unhex(replace(convert(new.message_id using latin1), '-', ''));
    end if;
end
