-- Records that a consumer applies a version of what a key names, if it is newer than the last one applied: changes one
-- row. No row: it is not newer, or it is the first of its key. It waits for a transaction that has changed the same
-- key.
update inbox_newest
set version = @version, advanced_at = utc_timestamp(6)
where consumer = @consumer and message_key = @message_key and version < @version
