-- Once per session: each statement sees what is committed when it begins, and a delete locks no gaps.
set session transaction isolation level read committed
