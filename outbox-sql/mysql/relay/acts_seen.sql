-- The relay has noticed these acts of operators: the @ids of acts.sql.
update json_table(@ids, '$[*]' columns (id bigint path '$')) as asked
straight_join outbox_held_act as act force index (primary) on act.id = asked.id
set act.seen_at = utc_timestamp(6)
