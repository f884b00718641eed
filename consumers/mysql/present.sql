-- Which of some messages a consumer has claimed, as committed at this moment or by this transaction itself: a read that
-- locks sees these, whatever the transaction has seen before, and waits for a transaction that has claimed one of them and is
-- still open. The library repeats the line in parentheses for each message, with `union all` between. A list of ids in one
-- select would be shorter, but for a small table, or a long list, the server reads all rows of the consumer instead, and waits for
-- claims that it was not asked about. The limit is there because the session's sql_select_limit is for those that have none.
(select message_id from inbox where consumer = @consumer and message_id = @message_id lock in share mode)
limit 65536
