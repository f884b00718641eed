-- The same for the first version of a key; 1062 if it is not the first. Not one statement with the update: its count of
-- rows would depend on a flag of the client, as claim.sql says.
insert into inbox_newest (consumer, message_key, version)
values (@consumer, @message_key, @version)
