-- What a library must know of a table before it uses it: the database; the engine of @table (NULL: there is no such
-- table); the columns of its primary key in alphabetical order, with the length where the key has only a part of one;
-- and whether the two columns that it should have, consumer and @named, are bytes of any length up to 255 and up to
-- @max_bytes.
select cast(convert(database() using utf8mb4) as binary),
    (
        select engine from information_schema.tables where table_schema = database() and table_name = @table
    ),
    (
        select group_concat(
            if(sub_part is null, lower(column_name), concat(lower(column_name), '(', sub_part, ')'))
            order by column_name separator ', '
        )
        from information_schema.statistics
        where table_schema = database() and table_name = @table and index_name = 'PRIMARY'
    ),
    (
        select count(*)
        from information_schema.columns
        where table_schema = database() and table_name = @table and data_type = 'varbinary'
            and (
                (column_name = 'consumer' and character_maximum_length >= 255)
                or (column_name = @named and character_maximum_length >= @max_bytes)
            )
    ) = 2
limit 1
