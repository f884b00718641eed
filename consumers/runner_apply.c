#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "consumers/runner_private.h"

/* The outcome of a transaction. */
struct outcome {
    enum { COMMITTED, FAILED, REJECTED, CONTENDED, OUTAGE, ENDED } what;
    bool inside;                        /* OUTAGE: the transaction had begun */
    const struct runner_claim *culprit; /* NULL: no single message */
    struct error error;
};

static struct outcome
outcome_of(enum runner_fault fault, const struct runner_claim *culprit, const struct error *error)
{
    struct outcome outcome = {.culprit = culprit, .error = *error};
    switch (fault) {
    case RUNNER_FAULT_NONE:
        outcome.what = COMMITTED;
        break;
    case RUNNER_FAULT_MESSAGE:
        outcome.what = FAILED;
        break;
    case RUNNER_FAULT_CONTENTION:
        outcome.what = CONTENDED;
        break;
    case RUNNER_FAULT_OUTAGE:
        outcome.what = OUTAGE;
        outcome.inside = true;
        break;
    case RUNNER_FAULT_ENDED:
        outcome.what = ENDED;
        break;
    }
    return outcome;
}

static void
collect_batch(struct runner *runner)
{
    struct runner_window *window = &runner->window;
    for (uint32_t i = 0; i < window->batch_count; i++) {
        struct runner_entry *entry = runner_window_picked(window, i);
        struct runner_delivery *delivery = entry->item;
        delivery->shown.attempt = entry->attempts + 1;
        runner->claims[i] = (struct runner_claim){.delivery = delivery};
    }
}

static void
ask_hint(struct runner *runner)
{
    const struct inbox_runner_hint *hint = &runner->options.hint;
    uint32_t count = runner->window.batch_count;
    if (hint->seen == NULL) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        runner->texts[i] = runner->claims[i].delivery->shown.message_id;
        runner->seen[i] = false;
    }
    hint->seen(hint->hint, runner->texts, count, runner->seen);
    for (uint32_t i = 0; i < count; i++) {
        runner->claims[i].hinted = runner->seen[i];
    }
}

/* Collects the ids that go to the table, into runner->ids and runner->texts. */
static uint32_t
collect_ids(struct runner *runner)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < runner->window.batch_count; i++) {
        if (!runner->claims[i].hinted) {
            const char *text = runner->claims[i].delivery->shown.message_id;
            runner->texts[count] = text;
            runner->ids[count++] = (struct inbox_id){text, strlen(text)};
        }
    }
    return count;
}

/* Whether the message at this place must be applied although the inbox knows its id: true only for the first message of
 * an owed id. */
static bool
is_owed(const struct runner *runner, uint32_t place)
{
    const char *id = runner->claims[place].delivery->shown.message_id;
    if (runner->owed.count == 0 || !runner_owed_has(&runner->owed, id)) {
        return false;
    }
    for (uint32_t i = 0; i < place; i++) {
        if (strcmp(runner->claims[i].delivery->shown.message_id, id) == 0) {
            return false;
        }
    }
    return true;
}

static enum runner_fault
claim_ids(struct runner *runner, uint32_t count, struct error *reterr)
{
    struct error error;
    enum runner_fault fault = runner->session->kind->claim(
        runner->session, runner->options.consumer, runner->ids, count, runner->verdicts, &error);
    if (fault != RUNNER_FAULT_NONE) {
        error_set(reterr, error.class, "inbox: %s", error.text);
        return fault;
    }
    uint32_t next = 0;
    for (uint32_t i = 0; i < runner->window.batch_count; i++) {
        struct runner_claim *claim = &runner->claims[i];
        claim->first =
            !claim->hinted && (runner->verdicts[next++] == INBOX_FIRST || is_owed(runner, i));
    }
    return RUNNER_FAULT_NONE;
}

static struct outcome
apply_one(struct runner *runner, const struct runner_claim *claim)
{
    struct error error = {0};
    inbox_apply answer;
    enum runner_fault fault =
        runner->session->kind->apply(runner->session, &claim->delivery->shown, &answer, &error);
    if (fault == RUNNER_FAULT_CONTENTION || fault == RUNNER_FAULT_OUTAGE ||
        fault == RUNNER_FAULT_ENDED) {
        return outcome_of(fault, claim, &error); /* whatever the answer */
    }
    if (answer == INBOX_APPLY_OUTAGE) {
        error_set(&error, ERROR_TRANSIENT, "the application cannot apply anything now");
        return outcome_of(RUNNER_FAULT_OUTAGE, claim, &error);
    }
    if (answer == INBOX_APPLY_REJECT) {
        error_set(&error, ERROR_MESSAGE, "the application rejects it");
        return (struct outcome){.what = REJECTED, .culprit = claim, .error = error};
    }
    if (answer != INBOX_APPLY_OK && fault == RUNNER_FAULT_NONE) {
        error_set(&error, ERROR_MESSAGE, "the application could not apply it");
        fault = RUNNER_FAULT_MESSAGE;
    }
    return outcome_of(fault, claim, &error);
}

static struct outcome
apply_claims(struct runner *runner)
{
    struct error error = {0};
    for (uint32_t i = 0; i < runner->window.batch_count; i++) {
        const struct runner_claim *claim = &runner->claims[i];
        struct outcome outcome =
            claim->first ? apply_one(runner, claim) : (struct outcome){.what = COMMITTED};
        if (outcome.what != COMMITTED) {
            return outcome;
        }
    }
    return outcome_of(runner->session->kind->commit(runner->session, &error), NULL, &error);
}

static struct outcome
run_transaction(struct runner *runner)
{
    struct error error = {0};
    uint32_t count = collect_ids(runner);
    if (count == 0) {
        return outcome_of(RUNNER_FAULT_NONE, NULL, &error);
    }
    enum runner_fault fault = runner->session->kind->begin(runner->session, &error);
    if (fault != RUNNER_FAULT_NONE) {
        return (struct outcome){.what = OUTAGE, .error = error};
    }
    fault = claim_ids(runner, count, &error);
    return fault == RUNNER_FAULT_NONE ? apply_claims(runner) : outcome_of(fault, NULL, &error);
}

/* The transaction is committed: counts its messages, and tells the hint. */
static void
remember(struct runner *runner)
{
    const struct inbox_runner_hint *hint = &runner->options.hint;
    uint32_t batch = runner->window.batch_count, claimed = collect_ids(runner), first = 0;
    for (uint32_t i = 0; i < batch; i++) {
        first += runner->claims[i].first;
        if (runner->owed.count > 0) {
            runner_owed_remove(&runner->owed, runner->claims[i].delivery->shown.message_id);
        }
    }
    runner_count(runner, COUNT_APPLIED, first);
    runner_count(runner, COUNT_DUPLICATES, claimed - first);
    runner_count(runner, COUNT_HINTED, batch - claimed);
    runner_count(runner, COUNT_TRANSACTIONS, claimed > 0);
    if (first < batch) {
        runner_report(runner, INBOX_REPORT_INFO, "duplicates",
                      "%u of %u messages were applied before", batch - first, batch);
    }
    if (hint->remember != NULL && claimed > 0) {
        hint->remember(hint->hint, runner->texts, claimed);
    }
}

static unsigned long
until_ms(uint64_t then_us, uint64_t now_us)
{
    return (unsigned long)((then_us - now_us) / CLOCK_MS_US);
}

/* Reports what the window decided about a failed transaction. `entry` is the message, if it was alone. */
static void
report_failure(struct runner *runner, const struct outcome *outcome, enum runner_verdict verdict,
               const struct runner_entry *entry, uint64_t now_us)
{
    const char *id = outcome->culprit != NULL ? outcome->culprit->delivery->shown.message_id : NULL;
    if (verdict == RUNNER_SPLIT) {
        runner_report(runner, INBOX_REPORT_WARNING, "batch_failed",
                      "a transaction of several messages failed%s%s: %s; each message gets a "
                      "transaction of its own",
                      id != NULL ? " at " : "", id != NULL ? id : "", outcome->error.text);
        return;
    }
    id = ((const struct runner_delivery *)entry->item)->shown.message_id;
    if (verdict == RUNNER_DEAD) {
        runner_count(runner, COUNT_REJECTED, 1);
        runner_report(runner, INBOX_REPORT_ERROR, "message_rejected",
                      "%s: %s; rejected, with %u of %u attempts used", id, outcome->error.text,
                      entry->attempts, runner->options.attempts_max);
        return;
    }
    runner_count(runner, COUNT_RETRIED, 1);
    runner_report(runner, INBOX_REPORT_WARNING, "message_failed",
                  "%s: %s; %u of %u attempts used, next in %lu ms", id, outcome->error.text,
                  entry->attempts, runner->options.attempts_max, until_ms(entry->due_us, now_us));
}

static void
tell_outage(struct runner *runner, const struct error *error, uint64_t next_us, uint64_t now_us)
{
    runner_count(runner, COUNT_DATABASE_OUTAGES, 1);
    runner_report(runner, INBOX_REPORT_WARNING, "database_outage", "%s; next try in %lu ms",
                  error->text, until_ms(next_us, now_us));
}

/* Remembers since when the database cannot be reached; a database that refuses something counts as reachable. */
static void
note_reached(struct runner *runner, bool reached, uint64_t now_us)
{
    if (reached) {
        runner->outage_us = 0;
    } else if (runner->outage_us == 0) {
        runner->outage_us = now_us;
    }
}

/* The apply function has ended the transaction. If it did so by a commit, all claims are in the inbox, but the messages
 * behind the culprit were not applied: only this list distinguishes them from real duplicates. Without a culprit it was
 * a rollback, and the inbox has none of the claims. */
static void
owe(struct runner *runner, const struct outcome *outcome)
{
    const struct runner_claim *end = runner->claims + runner->window.batch_count;
    const struct runner_claim *culprit = outcome->culprit;
    const char *id = (culprit != NULL ? culprit : runner->claims)->delivery->shown.message_id;
    uint32_t lost = 0;
    char rest[100] = "";
    for (const struct runner_claim *claim = culprit != NULL ? culprit + 1 : end; claim < end;
         claim++) {
        if (claim->first && !runner_owed_add(&runner->owed, claim->delivery->shown.message_id)) {
            lost++;
        }
    }
    if (lost > 0) {
        (void)snprintf(rest, sizeof(rest),
                       "; out of memory, so later messages of its batch are lost (%u): the inbox "
                       "has their ids",
                       lost); /* fits */
    }
    runner_report(runner, INBOX_REPORT_ERROR, "transaction_ended", "%s%s: %s%s", id,
                  culprit == NULL && runner->window.batch_count > 1 ? " or a later one of its batch"
                                                                    : "",
                  outcome->error.text, rest);
}

static void
tell_window(struct runner *runner, const struct outcome *outcome)
{
    struct runner_window *window = &runner->window;
    const struct runner_entry *entry = runner_window_picked(window, 0);
    uint64_t now_us = clock_monotonic_us();
    enum runner_verdict verdict = RUNNER_SPLIT;
    note_reached(runner, outcome->what != OUTAGE || outcome->inside, now_us);
    switch (outcome->what) {
    case COMMITTED:
        runner_window_committed(window);
        return;
    case OUTAGE:
        verdict = runner_window_outage(window, outcome->inside, now_us);
        break;
    case FAILED:
    case ENDED:
        verdict = runner_window_failed(window, now_us);
        break;
    case REJECTED:
        verdict = runner_window_refused(window);
        break;
    case CONTENDED:
        verdict = runner_window_contended(window, now_us);
        break;
    }
    if (verdict == RUNNER_OUTAGE) {
        tell_outage(runner, &outcome->error, window->outage_until_us, now_us);
    } else {
        report_failure(runner, outcome, verdict, entry, now_us);
    }
}

void
runner_apply_batch(struct runner *runner)
{
    runner_pump_lend(runner->broker.pump);
    collect_batch(runner);
    ask_hint(runner);
    struct outcome outcome = run_transaction(runner);
    if (outcome.what == COMMITTED) {
        remember(runner);
    } else {
        runner->session->kind->rollback(runner->session,
                                        outcome.what == OUTAGE || outcome.what == ENDED);
    }
    if (outcome.what == ENDED) {
        owe(runner, &outcome);
    }
    runner_pump_take_back(runner->broker.pump);
    tell_window(runner, &outcome);
}

void
runner_apply_prepare(struct runner *runner)
{
    struct error error = {0};
    runner_pump_lend(runner->broker.pump);
    enum runner_fault fault = runner->session->kind->open(runner->session, &error);
    runner_pump_take_back(runner->broker.pump);
    uint64_t now_us = clock_monotonic_us();
    runner->ready = fault == RUNNER_FAULT_NONE;
    note_reached(runner, runner->ready, now_us);
    if (!runner->ready) {
        tell_outage(runner, &error, runner_window_wait(&runner->window, now_us), now_us);
    }
}
