-- Which of some messages a consumer has claimed, committed by now or in this transaction itself: a read that locks sees
-- these, whatever the transaction has read before, and waits for a transaction that has claimed one of them and is
-- still open. The library repeats the line in parentheses for each message, with `union all` between. A list of ids in
-- one select would be shorter. But for a small table or a long list the server would read all rows of the consumer
-- instead, and wait for claims that nobody asked about. The limit is there because the session's sql_select_limit
-- applies only to statements without one.
(select message_id from inbox where consumer = @consumer and message_id = @message_id lock in share mode)
limit 65536
