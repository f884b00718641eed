-- What follows in this transaction may take $1 milliseconds: one large row over a slow link, or one that is slow to read.
select set_config('statement_timeout', $1::text, true)
