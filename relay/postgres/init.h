/* relay/postgres/init.h - the part of `init` that is about a source's database: the tables, and the publication. */
#ifndef RELAY_POSTGRES_INIT_H
#define RELAY_POSTGRES_INIT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "relay/config/config.h"
#include "relay/ports/init.h"

/* The tables. INIT_REPAIRED: `tell` was called for each thing that was put back, after it was. False with *reterr, and
 * nothing changed. */
bool init_postgres(const struct source_config *source,
                   void (*tell)(void *context, const char *words), void *context,
                   enum init_outcome *ret_outcome, struct error *reterr) MUST_CHECK;
void init_postgres_print(FILE *out, const char *schema);

/* The publication. `tell` is called for each thing that is lacking, with what to do about it. False with *reterr if the
 * server did not do as it was told. */
bool init_postgres_tail(const struct source_config *source,
                        void (*tell)(void *context, const char *words), void *context,
                        struct init_log *ret_log, struct error *reterr) MUST_CHECK;

#endif
