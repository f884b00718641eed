-- What a library must know of the tables before it believes in them: the database, the engine of the inbox (NULL: there is no such
-- table), the columns of its primary key in the order of the alphabet, with the length where only a part of one counts, and how
-- many of them are bytes of any length up to 255.
select cast(convert(database() using utf8mb4) as binary),
    (
        select engine from information_schema.tables where table_schema = database() and table_name = 'inbox'
    ),
    (
        select group_concat(
            if(sub_part is null, lower(column_name), concat(lower(column_name), '(', sub_part, ')'))
            order by column_name separator ', '
        )
        from information_schema.statistics
        where table_schema = database() and table_name = 'inbox' and index_name = 'PRIMARY'
    ),
    (
        select count(*)
        from information_schema.columns
        where table_schema = database() and table_name = 'inbox' and column_name in ('consumer', 'message_id')
            and data_type = 'varbinary' and character_maximum_length >= 255
    )
limit 1
