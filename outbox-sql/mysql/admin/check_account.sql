-- The database and the account of this session; NULL: the dsn names no database.
select database(), current_user()
