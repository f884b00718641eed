/* relay/api/act.h - trying held messages again and discarding them, for questions.h, which has the parameters. */
#ifndef RELAY_API_ACT_H
#define RELAY_API_ACT_H

#include <jansson.h>

#include "relay/config/config.h"
#include "relay/ports/admin.h"

bool api_act_retry(const struct source_config *source, struct admin *admin,
                   const json_t *parameters, json_t **ret_document,
                   struct error *reterr) MUST_CHECK;
bool api_act_discard(const struct source_config *source, struct admin *admin,
                     const json_t *parameters, json_t **ret_document,
                     struct error *reterr) MUST_CHECK;

#endif
