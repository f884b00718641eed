-- The messages @ids are confirmed: their rows go.
-- Each by the primary key, whatever statistics say: where the list has most of the rows, the server would rather read the whole
-- table, past all that was deleted and is not purged, and wait for rows of transactions that are still open. MySQL takes a hint;
-- MariaDB keeps to a key when it must not do without. (A join with the list, as in moved.sql, does so too; here it takes MariaDB three
-- times as long, 12 us a row instead of 4.)
/*M! set statement sql_safe_updates = 1 for */
delete /*+ index(outbox primary) */ from outbox
where id in (@ids)
