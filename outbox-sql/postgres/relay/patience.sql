-- Lets the rest of this transaction take $1 milliseconds: for one large row over a slow link, or one that is slow to
-- read.
select set_config('statement_timeout', $1::text, true)
