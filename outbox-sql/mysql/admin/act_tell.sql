-- Records who does what to the messages @ids.
insert into outbox_held_act (who, what, message_id, held_id, `key`, state)
select concat(@who, ', database account ', current_user()), @what, message_id, id, `key`, state
from outbox_held
where id in (@ids)
order by id
