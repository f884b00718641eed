-- Deletes the messages @ids. If one of them held a key back, the relay releases the messages behind it, because it looks
-- at all keys again after each act. Choosing a new leader here would race with a relay that is just sending the discarded
-- message.
delete from outbox_held
where id in (@ids)
