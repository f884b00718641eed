-- Notes that a consumer applies a version of what a key names, if that is newer than what it applied last: one row. None: it is
-- not newer, or the first of its key. It waits for a transaction that is at the same key.
update inbox_newest
set version = @version, advanced_at = utc_timestamp(6)
where consumer = @consumer and message_key = @message_key and version < @version
