/* relay/api/questions.h - what can be asked of one source by asker.h, and done to it. Each question has its parameters in
 * a JSON object, where those that are not given are missing; the answer is a JSON object as well. */
#ifndef RELAY_API_QUESTIONS_H
#define RELAY_API_QUESTIONS_H

#include "relay/api/asker.h"

/* The most messages of one answer, and of one act by ids. */
#define API_LIMIT_MAX 500
#define API_IDS_MAX 10000
/* So much of a payload is shown. */
#define API_PAYLOAD_MAX (64 * 1024)

/* As `status --json` has it. No parameters. */
extern const struct api_question api_question_status;

/* "messages" as in `held list --json`; "more": there are more, after the id "after"; and with "count": true, in "matching",
 * how many there are by state. Parameters: those of a filter, which are "state", "key", "type", "reason" and
 * "older_than", a duration such as "5m"; "after", an id; "limit". */
extern const struct api_question api_question_held_list;

/* "messages" as in `held show --json`: one, several or none; of a long payload the beginning, with "payload_cut": true.
 * Parameter: "id", the id of the row or the message id. */
extern const struct api_question api_question_held_show;

/* "stories" as in `explain --json`, and "known". Parameter: "id" likewise. */
extern const struct api_question api_question_explain;

/* Acts. Parameters: "who", and either "ids" of rows, or "filter", an object, with "count", how many it must match; and
 * "request": acts are done once for each. The answer has "done", by state before the act; "left": how many wait behind another one, and
 * are not retried; "gone": how many were gone; "freed": keys that go on; "text": all of that in sentences. Or, if
 * nothing was done, "refused": why. */
extern const struct api_question api_question_held_retry;
extern const struct api_question api_question_held_discard;

/* Whether parameters that came from outside are good: false with *reterr, for people. Also turns numbers that are texts, as
 * in a query, into numbers. */
bool api_check_held_list(json_t *parameters, struct error *reterr) MUST_CHECK;
bool api_check_id(json_t *parameters, struct error *reterr) MUST_CHECK;
bool api_check_act(json_t *parameters, struct error *reterr) MUST_CHECK;

#endif
