-- Where this session is, and as whom; NULL: the dsn names no database.
select database(), current_user()
