/* relay/postgres/source_watermark.h - why the rule of relay/ports/watermark.h holds on PostgreSQL.
 *
 * Ids come from a sequence whose last value can be read. An INSERT or COPY locks the table (RowExclusiveLock) before it
 * takes an id from the sequence, and keeps the lock until its transaction is over; a commit becomes visible before its
 * locks are released. pg_locks lists the holders by their virtual transactions; a prepared transaction keeps its locks
 * under the same name (PostgreSQL 14.1 and newer), so there are no orphans.
 *
 * A writer chooses an id itself only with OVERRIDING SYSTEM VALUE. */
#ifndef RELAY_POSTGRES_SOURCE_WATERMARK_H
#define RELAY_POSTGRES_SOURCE_WATERMARK_H

#include "base/error.h"
#include "relay/ports/watermark.h"

/* Parses "3/1507": the number of the backend, and of the transaction within it. False if it is not a virtual
 * transaction. */
bool pg_watermark_parse(const char *text, struct watermark_writer *ret_writer) MUST_CHECK;

#endif
