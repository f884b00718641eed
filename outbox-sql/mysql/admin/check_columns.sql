-- What differs in the columns of the outbox and of outbox_held from those that init created, or prevents their rows from
-- being moved: a row each, with "problem" or "advice", and what to do about it. Only as far as this account may see it.
with
    wanted (of_tables, name, type, definition) as (
        select 'outbox', 'id', 'bigint', 'bigint not null auto_increment'
        union all select 'outbox_held', 'id', 'bigint', 'bigint not null'
        union all select 'outbox', 'message_id', 'varbinary', null
        union all select 'outbox_held', 'message_id', 'varbinary', 'varbinary(37) not null'
        union all select 'outbox outbox_held', 'exchange', 'varchar', 'varchar(256)'
        union all select 'outbox', 'routing_key', 'varchar', 'varchar(256) not null default '''''
        union all select 'outbox_held', 'routing_key', 'varchar', 'varchar(256) not null'
        union all select 'outbox outbox_held', 'key', 'varchar', 'varchar(1025)'
        union all select 'outbox outbox_held', 'type', 'varchar', 'varchar(256)'
        union all select 'outbox outbox_held', 'content_type', 'varchar', 'varchar(256)'
        union all select 'outbox outbox_held', 'headers', 'longtext', 'longtext'
        union all select 'outbox', 'payload', 'longblob', 'longblob'
        union all select 'outbox_held', 'payload', 'longblob', 'longblob not null'
        union all select 'outbox', 'payload_text', 'longtext', 'longtext'
        union all select 'outbox', 'created_at', 'datetime', 'datetime(6) not null default (utc_timestamp(6))'
        union all select 'outbox_held', 'created_at', 'datetime', 'datetime(6) not null'
        union all select 'outbox outbox_held', 'deliver_after', 'datetime', 'datetime(6)'
        union all select 'outbox_held', 'state', 'varchar', 'varchar(9) not null'
        union all select 'outbox_held', 'skipped', 'tinyint', 'boolean not null default false'
        union all select 'outbox_held', 'attempts', 'int', 'int not null default 0'
        union all select 'outbox_held', 'next_attempt_at', 'datetime', 'datetime(6)'
        union all select 'outbox_held', 'last_error', 'text', 'text'
        union all select 'outbox_held', 'held_at', 'datetime', 'datetime(6) not null default (utc_timestamp(6))'
        union all select 'outbox_held', 'extra', 'longtext', 'longtext'
        union all select 'outbox_held', 'key_hash', 'bigint', 'bigint as (case when `key` is null then 0 else cast(conv(left(sha2(`key`, 256), 15), 16, 10) as signed) end) stored'
    ),
    there as (
        select table_name as of_table
        from information_schema.tables
        where table_schema = database()
            and table_name in ('outbox', 'outbox_held')
    ),
    columns_there as (
        select table_name as of_table, column_name as name, lower(data_type) as type, character_set_name, collation_name,
            coalesce(generation_expression, '') <> '' as is_computed, extra
        from information_schema.columns
        where table_schema = database()
            and table_name in ('outbox', 'outbox_held')
    ),
    bytewise as (
        select /*M! 'utf8mb4_nopad_bin' */ /*!80017 'utf8mb4_0900_bin' */ as name
    )
select severity, words
from (
    select 1 as place, 'problem' as severity,
        concat('column ', wanted.name, ' of ', there.of_table,
            if(columns_there.name is null, ' is missing', concat(' is of type ', columns_there.type, ', and has to be ', wanted.type)), ': ',
            coalesce(
                concat('alter table ', there.of_table, if(columns_there.name is null, ' add `', ' modify `'), wanted.name, '` ', wanted.definition),
                'make it as `outbox-relay init --print --kind mysql` has it')
        ) as words
    from wanted
    join there on concat(' ', wanted.of_tables, ' ') like concat('% ', there.of_table, ' %')
    left join columns_there on columns_there.of_table = there.of_table and columns_there.name = wanted.name
    where coalesce(columns_there.type, '') <> wanted.type
    union all
    select 2, 'problem', concat('column key_hash of outbox_held is not made of the key by the server: alter table outbox_held modify key_hash ',
        wanted.definition)
    from columns_there
    join wanted on wanted.name = 'key_hash'
    where columns_there.name = 'key_hash'
        and not is_computed
    union all
    select 3, 'problem', 'column id of outbox gets no value of its own: alter table outbox modify id bigint not null auto_increment'
    from columns_there
    where of_table = 'outbox'
        and name = 'id'
        and extra not like '%auto_increment%'
    union all
    select 4, 'problem', concat('column key of ', of_table, ' is in ', character_set_name, ', so its keys have other bytes, and may pass for others, ',
        'elsewhere: alter table ', of_table, ' modify `key` varchar(1025) character set utf8mb4 collate ', bytewise.name)
    from columns_there
    cross join bytewise
    where columns_there.name = 'key'
        and character_set_name <> 'utf8mb4'
    union all
    select 5, 'advice', concat('column key of ', of_table, ' is compared by ', collation_name, ', by which keys that differ in case or ',
        'spaces may be the same to statements of yours: alter table ', of_table, ' modify `key` varchar(1025) collate ', bytewise.name)
    from columns_there
    cross join bytewise
    where columns_there.name = 'key'
        and character_set_name = 'utf8mb4'
        and collation_name <> bytewise.name
    union all
    select 6, 'advice', concat('foreign key ', constraint_name, ' of ', table_name, ' keeps messages from being deleted from ',
        referenced_table_name, ': have it `on delete cascade`, or drop it')
    from information_schema.referential_constraints
    where unique_constraint_schema = database()
        and referenced_table_name in ('outbox', 'outbox_held')
        and delete_rule in ('RESTRICT', 'NO ACTION')
    union all
    select 7, 'problem', concat('no message can be set aside: none has a value for column ', column_name, ' of outbox_held: give it a ',
        'default, or drop its NOT NULL')
    from information_schema.columns
    where table_schema = database()
        and table_name = 'outbox_held'
        and is_nullable = 'NO'
        and column_default is null
        and coalesce(generation_expression, '') = ''
        and extra not like '%DEFAULT_GENERATED%'
        and column_name not in (
            select name
            from wanted
        )
) as findings
order by place, words
