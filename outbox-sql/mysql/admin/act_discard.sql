-- Or the messages @ids are deleted. Where that takes away what kept a key back, the relay lets go those that wait behind it, since
-- it looks at the keys anew after each act: to give them a leader here would race with a relay that is just sending the message
-- which is discarded.
delete from outbox_held
where id in (@ids)
