-- Statements may take @lease_s seconds from now on, until the next such statement: for one large row over a slow link, or
-- a slow read. The server keeps the session as long.
set session
    wait_timeout = @lease_s,
    /*M! max_statement_time = @lease_s, */
    /*!80000 max_execution_time = @lease_ms, */
    net_write_timeout = @lease_s
