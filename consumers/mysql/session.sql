-- Once per connection of the runner. A deadlock ends the transaction, and an `apply` function that does not check for
-- errors does not notice. With autocommit, what it does afterwards would be committed at once, without the claim of its
-- message.
set autocommit = 0
