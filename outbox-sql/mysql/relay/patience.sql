-- What follows may take @lease_s seconds, until the next such statement: one large row over a slow link, or one that is slow to
-- read. So long, too, the server keeps the session.
set session
    wait_timeout = @lease_s,
    /*M! max_statement_time = @lease_s, */
    /*!80000 max_execution_time = @lease_ms, */
    net_write_timeout = @lease_s
