-- Once for each session: each statement sees what was committed when it began, and a delete locks no gaps.
set session transaction isolation level read committed
