-- The session that runs the query of a template of sources: it is the operator's, and it must end.
set session
    /*M! max_statement_time = 10, */
    /*!80000 max_execution_time = 10000, */
    lock_wait_timeout = 10
