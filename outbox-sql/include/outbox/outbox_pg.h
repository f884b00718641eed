/* outbox/outbox_pg.h - writing to the outbox of a PostgreSQL database (13 or newer) with libpq. Read outbox.h first. */
#ifndef OUTBOX_OUTBOX_PG_H
#define OUTBOX_OUTBOX_PG_H

#include <libpq-fe.h>

#include <outbox/outbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes messages to table outbox, in the order of the array, within the transaction that is open on `tx`: one statement
 * and one round trip however many there are, and all of them or none. It checks first; a message that breaks a rule is
 * refused before anything is sent. Tables are found by the search_path of the connection. The role needs INSERT on outbox
 * and SELECT on outbox_schema, nothing else. No prepared statement is left behind, so it works through a pooler.
 *
 * tx             in a transaction, idle, not in pipeline mode. Works on a non-blocking connection too, but blocks.
 * messages       message_count of them, all with the same struct_size; none is fine, then only tx is checked.
 * ret_ids        message_count ids in the same order, written on OUTBOX_OK only; may be NULL.
 * reterr         written on failure only; may be NULL.
 *
 * OUTBOX_INVALID also means: the connection is in pipeline mode or busy with a command (COPY, a result not read). */
OUTBOX_API outbox_result outbox_pg_write_many(PGconn *tx, const struct outbox_message *messages,
                                              size_t message_count, struct outbox_id *ret_ids,
                                              struct outbox_error *reterr) OUTBOX_MUST_CHECK;

/* The same with one message. */
OUTBOX_API outbox_result outbox_pg_write(PGconn *tx, const struct outbox_message *message,
                                         struct outbox_id *ret_id,
                                         struct outbox_error *reterr) OUTBOX_MUST_CHECK;

/* The same without touching table outbox: the messages are only in the server's log until the relay has read them there and has
 * written them into the table itself. Only for a source with tableless = true: docs/TABLELESS.md lists the disadvantages. The
 * role needs EXECUTE on function outbox_emit and SELECT on outbox_schema.
 *
 * OUTBOX_SCHEMA also means: there is no function outbox_emit. OUTBOX_DATABASE with sqlstate 55000: no replication slot keeps
 * the log, so the messages would be lost. */
OUTBOX_API outbox_result outbox_pg_emit_many(PGconn *tx, const struct outbox_message *messages,
                                             size_t message_count, struct outbox_id *ret_ids,
                                             struct outbox_error *reterr) OUTBOX_MUST_CHECK;

/* The same with one message. */
OUTBOX_API outbox_result outbox_pg_emit(PGconn *tx, const struct outbox_message *message,
                                        struct outbox_id *ret_id,
                                        struct outbox_error *reterr) OUTBOX_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
