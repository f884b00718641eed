-- Once per connection of the runner. A deadlock ends the transaction without a word to who does not look at errors; with
-- autocommit what `apply` did after that would be committed at once, without the claim of its message.
set autocommit = 0
