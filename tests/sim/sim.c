/* tests/sim/sim.c - the real core in a world that breaks at random, from a seed: transactions that commit late, two
 * relays, lost and reordered confirms, nacks, returns, closed channels, routes that take nothing, lost connections to
 * either side, a blocked broker, frozen, drained and killed relays, operators, crashes of both servers, at any point
 * between two actions. The promises of the design are checked at every step. In the end everything is repaired, and all
 * committed messages must have arrived.
 *
 *   sim [--runs N] [--from S] [--jobs N] [--seed S] [--trace] [--count]
 *
 * Runs the seeds S, S+1, … in N processes. A failing seed is printed, and runs alone with --seed. --count prints how
 * often each event happened. */
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/sim/sim.h"

#define JOBS_MAX 64
#define RUN_SECONDS_MAX 120 /* for a core that does not return; real time */
/* once everything is repaired, everything that can be sent is sent within this time */
#define CALM_US (90 * CLOCK_S_US)
/* one world in so many has relays with a rate_max */
#define LIMITED_SEEDS 6

struct world world;
struct relay relays[RELAYS_MAX];
static uint64_t seed_now;

static void
on_signal(int signal_number)
{
    char text[120];
    const int length =
        snprintf(text, sizeof(text), "seed %" PRIu64 " %s: sim --seed %" PRIu64 " --trace\n",
                 seed_now, signal_number == SIGALRM ? "did not end" : "failed", seed_now);
    (void)!write(STDERR_FILENO, text, (size_t)length); /* the process is ending */
    if (signal_number == SIGALRM) {
        _exit(1);
    }
}

static bool
chance(unsigned percent)
{
    return world_chance(&world, percent);
}

/* ---- what goes wrong -------------------------------------------------------------------------- */

static void
broker_crash(void)
{
    world_note(&world, "the broker crashes");
    world_broker_crash(&world);
    for (int i = 0; i < RELAYS_MAX; i++) {
        for (uint32_t lane = 0; lane <= relays[i].options.lane_count; lane++) {
            relay_lose_lane(&relays[i], lane);
        }
    }
}

static void
database_crash(void)
{
    world_database_crash(&world);
    world.resets++;
    world.faults++;
    for (int i = 0; i < 2; i++) {
        relay_cut_session(&relays[i]);
        tail_cut(&relays[i]);
    }
}

static void
clock_jump(void)
{
    world.now_us += random_between(&world.random, 0, 2 * TAKEOVER_US);
    world_note(&world, "time has passed");
}

static void
freeze(struct relay *relay)
{
    relay->frozen = true;
    world_note(&world, "relay %d frozen", relay->index);
}

static void
drain(struct relay *relay)
{
    world_note(&world, "relay %d is to drain", relay->index);
    pipeline_drain(relay->pipeline);
    relay->draining = true;
    relay->stirred = true;
}

/* Drains a relay, preferably one that is trying a bad route. */
static void
drain_some(void)
{
    struct relay *relay = &relays[random_between(&world.random, 0, RELAYS_MAX - 1)];
    if (random_between(&world.random, 0, relay->degraded ? 29 : 299) == 0) {
        drain(relay);
    }
}

static void
congest(struct relay *relay, uint32_t lane, bool congested)
{
    pipeline_lane_congested(relay->pipeline, lane, congested);
    relay->stirred = true;
}

static void
declare_or_delete_exchange(void)
{
    const uint64_t exchange = random_between(&world.random, EXCHANGES_GOOD, EXCHANGES_MAX - 1);
    world.missing[exchange] = !world.missing[exchange];
    world_note(&world, "exchange %s is %s", world_exchange_name((uint32_t)exchange),
               world.missing[exchange] ? "deleted" : "declared");
}

static void
break_route(void)
{
    if (world.refusing) {
        world_route_breaks(&world);
    }
}

/* The owner's session ends and begins again at once. Messages that it sends again find no queue, while earlier copies
 * are in flight on the same channel. */
static void
flicker(void)
{
    if (world.owner != NOBODY) {
        relay_cut_session(&relays[world.owner]);
    }
    break_route();
}

static void
fault(struct relay *relay)
{
    const uint32_t lane = (uint32_t)random_between(&world.random, 0, relay->options.lane_count);
    switch (random_between(&world.random, 0, 14)) {
    case 0:
        relay_kill(relay);
        break;
    case 1:
        relay_cut_session(relay);
        break;
    case 2:
        relay_lose_lane(relay, lane);
        break;
    case 3:
        freeze(relay);
        break;
    case 4:
        world_set_blocked(&world, !world.blocked);
        break;
    case 5:
        clock_jump();
        break;
    case 6:
        congest(relay, lane, chance(50));
        break;
    case 7:
        broker_crash();
        break;
    case 8:
        database_crash();
        break;
    case 9:
        drain(relay);
        break;
    case 10:
        if (world.refusing) {
            declare_or_delete_exchange();
        }
        break;
    case 12:
        relay_shut_out(relay);
        break;
    case 13:
        relay_leave_lane(relay, lane);
        break;
    case 11: /* the network comes back, but not everything behind it */
        relay_cut_session(relay);
        break_route();
        break;
    default:
        break_route();
        break;
    }
}

/* ---- what goes on ----------------------------------------------------------------------------- */

/* The server ends sessions that were silent for the takeover time. */
static void
expire_sessions(void)
{
    for (int i = 0; i < RELAYS_MAX; i++) {
        struct relay *relay = &relays[i];
        if (relay->session && world.now_us - relay->heard_us >= TAKEOVER_US) {
            world_note(&world, "the server ends the session of relay %d", i);
            relay_cut_session(relay);
            relay->unaware = chance(50);
        }
    }
}

static void
broker_steps(void)
{
    for (size_t i = 0; i < world.pipe_end; i++) {
        struct pipe *pipe = &world.pipes[i];
        if (!pipe->used || (!pipe->connected && pipe->in_count == 0)) {
            continue;
        }
        for (uint64_t n = random_between(&world.random, 0, 10); n > 0; n--) {
            world_broker_reads(&world, pipe);
        }
        if (pipe->connected && !pipe->closed && chance(world.confirm_percent)) {
            world_broker_confirms(&world, pipe);
        }
    }
}

static void
step(uint64_t most_us)
{
    world.now_us += random_between(&world.random, 10, most_us);
    if (world.now_us >= world.route.until_us) {
        world_route_mends(&world);
    }
    expire_sessions();
    broker_steps();
    for (int i = 0; i < RELAYS_MAX; i++) {
        relay_steps(&relays[i]);
    }
    if (chance(5)) {
        check_world();
    }
}

/* ---- a run ------------------------------------------------------------------------------------ */

static struct pipeline_options
choose_options(void)
{
    struct pipeline_options options = pipeline_defaults();
    options.lane_count = (uint32_t)random_between(&world.random, 1, 3);
    options.window_messages = (uint32_t)random_between(&world.random, 1, 64);
    options.window_bytes = chance(70) ? options.window_bytes : 4000;
    options.batch_rows = (uint32_t)random_between(&world.random, 1, chance(30) ? 4 : 40);
    options.batch_bytes = chance(70) ? options.batch_bytes : 5000;
    options.confirm_timeout_us = 2 * CLOCK_S_US;
    options.sweep_interval_us =
        random_between(&world.random, 1, chance(30) ? 5 : 100) * 100 * CLOCK_MS_US;
    options.wake_interval_us = random_between(&world.random, 1, 50) * CLOCK_MS_US;
    options.look_interval_us = random_between(&world.random, 100, 1000) * CLOCK_MS_US;
    options.quiet_after_us =
        chance(50) ? CLOCK_NEVER_US : random_between(&world.random, 0, 5) * CLOCK_S_US;
    options.poll_interval_idle_us = random_between(&world.random, 1, 2000) * CLOCK_MS_US;
    options.look_interval_idle_us = random_between(&world.random, 1, 3000) * CLOCK_MS_US;
    options.rest_after_us =
        chance(50) ? CLOCK_NEVER_US : random_between(&world.random, 0, 5) * CLOCK_S_US;
    options.phase_us = random_between(&world.random, 0, 10000) * CLOCK_MS_US;
    options.hold_delay_us = random_between(&world.random, 0, 50) * CLOCK_MS_US;
    options.retry_initial_us = random_between(&world.random, 1, 50) * CLOCK_MS_US;
    options.retry_max_us = chance(70) ? CLOCK_S_US : options.retry_initial_us;
    options.reconnect_max_us = CLOCK_S_US;
    options.max_attempts = world.rules.max_attempts;
    options.skip_dead = world.rules.skip_dead;
    options.held_max = world.rules.held_max;
    options.strict = world.rules.strict;
    options.tail = world.tailing && chance(85);
    options.yield_after_us = chance(20) ? 0 : random_between(&world.random, 50, 1000) * CLOCK_MS_US;
    options.tail_patience_us = random_between(&world.random, 100, 3000) * CLOCK_MS_US;
    if (seed_now % LIMITED_SEEDS == 0) {
        options.rate_max = (uint32_t)random_between(&world.random, 10, 2000);
    }
    return options;
}

/* Each kind of run tests a promise that the others cannot. */
static void
choose_world(void)
{
    world.dialect =
        &world_dialects[chance(50) ? 0 : random_between(&world.random, 1, world_dialect_count - 1)];
    world_note(&world, "the database is %s", world.dialect->name);
    world.rules.strict = chance(30);
    world.rules.skip_dead = chance(30);
    world.rules.max_attempts =
        chance(30) ? 0 : (uint32_t)random_between(&world.random, 1, chance(50) ? 3 : 12);
    world.rules.held_max = (uint32_t)random_between(&world.random, 2, 50);
    world.refusing = chance(75);
    if (world.refusing) {
        world.nack_percent = chance(50) ? 3 : 0;
        world.poison_percent = chance(50) ? 4 : chance(40) ? 20 : 0;
        world.outage_percent = chance(30) ? (unsigned)random_between(&world.random, 1, 3) : 0;
    }
    world.exchanges = chance(50) ? 1 : EXCHANGES_GOOD;
    world.only_route = world.refusing && chance(15);
    if (world.only_route) {
        world.exchanges = 1;
        world.nack_percent = 0;
        world.poison_percent = 0;
        world.outage_percent = 1;
    }
    world.hard_percent = chance(50) ? 50 : 0;
    world.scheduled_percent = chance(50) ? 5 : chance(50) ? 30 : 0;
    world.flickers = world.refusing && !world.only_route && chance(20);
    world.confirm_percent = world.flickers ? 5 : chance(25) ? 10 : 50;
    world.locked_percent = chance(30) ? 10 : 0;
    world.late_rows = chance(7);
    world.punctual = chance(60);
    world.tailing = !world.dialect->listless && chance(65);
    world.log_percent = chance(30) ? 5 : chance(50) ? 30 : 90;
    world.cut_percent = chance(60) ? 0 : 1;
    world.missed_percent = chance(15) ? 5 : 0;
    world.unseen_percent = chance(50) ? 30 : 0;
}

static void
start_run(uint64_t seed)
{
    seed_now = seed;
    world_init(&world, seed);
    choose_world();
    for (int i = 0; i < RELAYS_MAX; i++) {
        struct relay *relay = &relays[i];
        relay->index = i;
        relay->session = false;
        relay->shut_out = false;
        relay->request_count = 0;
        relay->options = choose_options();
        relay_start(relay);
    }
}

static void
chaos(void)
{
    const unsigned fault_percent =
        chance(20) || world.only_route ? 0 : (unsigned)random_between(&world.random, 1, 8);
    const unsigned act_percent =
        chance(50) || world.only_route ? 0 : (unsigned)random_between(&world.random, 1, 15);
    const unsigned begin_percent = chance(3) ? 0 : (unsigned)random_between(&world.random, 5, 45);
    const uint64_t steps = random_between(&world.random, 100, 2500);
    for (uint64_t i = 0; i < steps; i++) {
        if (chance(begin_percent)) {
            world_begin(&world);
        }
        if (chance(10)) {
            world_go_on(&world);
        }
        if (chance(45)) {
            world_end_some(&world);
        }
        if (world.flickers && chance(2)) {
            flicker();
        }
        if (chance(fault_percent)) {
            fault(&relays[random_between(&world.random, 0, RELAYS_MAX - 1)]);
        }
        if (chance(world.outage_percent) && world.route.trouble == TROUBLE_NONE) {
            world_route_breaks(&world);
        }
        if (world.only_route) {
            drain_some();
        }
        if (chance(act_percent)) {
            world_operate(&world);
        }
        step(5000);
    }
}

static void
mend(void)
{
    world_note(&world, "everything is mended");
    world.mended = true;
    world.confirm_percent = 50;
    world_route_mends(&world);
    if (world.blocked) {
        world_set_blocked(&world, false);
    }
    world_end_all(&world);
    for (int i = 0; i < RELAYS_MAX; i++) {
        relays[i].frozen = false;
        relays[i].shut_out = false;
        for (uint32_t lane = 0; lane <= relays[i].options.lane_count; lane++) {
            congest(&relays[i], lane, false);
        }
    }
}

/* Everything is sent without help, except what waits for an operator; then, once he has acted, everything. */
static void
calm_down(void)
{
    uint64_t end_us = world.now_us + CALM_US;
    while (world.now_us < end_us && !is_settled_down()) {
        step(20000);
    }
    check_settled_down();
    end_us = world.now_us + CALM_US;
    for (uint64_t i = 0; world.now_us < end_us && world.live > 0; i++) {
        if (i % 50 == 0) {
            world_retry_dead(&world);
        }
        step(20000);
    }
    check_end();
}

static void
let_pass(uint64_t time_us)
{
    const uint64_t end_us = world.now_us + time_us;
    while (world.now_us < end_us) {
        step(20000);
    }
}

/* The owner of the outbox soon reads the log, if it may, and reaches its end. */
static void
catch_up(void)
{
    const uint64_t end_us = world.now_us + CALM_US;
    while (world.now_us < end_us && !is_up_to_date(&relays[0]) && !is_up_to_date(&relays[1])) {
        step(20000);
    }
    check_up_to_date();
}

/* With nothing to do, a relay does next to nothing. */
static void
be_quiet(void)
{
    world_log_other(&world);
    let_pass(QUIET_US);
    for (int i = 0; i < RELAYS_MAX; i++) {
        memset(relays[i].asked, 0, sizeof(relays[i].asked));
    }
    let_pass(QUIET_US);
    check_quiet();
    check_up_to_date();
}

static void
run(uint64_t seed)
{
    (void)alarm(RUN_SECONDS_MAX);
    start_run(seed);
    chaos();
    mend();
    calm_down();
    catch_up();
    be_quiet();
    for (int i = 0; i < RELAYS_MAX; i++) {
        relay_stop(&relays[i]);
    }
}

/* ---- all runs --------------------------------------------------------------------------------- */

struct arguments {
    uint64_t runs;
    uint64_t from;
    uint64_t jobs;
    bool count;
};

static bool
parse_number(const char *text, uint64_t *ret_number)
{
    char *end;
    *ret_number = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

static bool
parse(int argc, char **argv, struct arguments *arguments)
{
    for (int i = 1; i < argc; i++) {
        uint64_t *number = NULL;
        if (strcmp(argv[i], "--trace") == 0) {
            world.trace = true;
            continue;
        }
        if (strcmp(argv[i], "--count") == 0) {
            arguments->count = true;
            continue;
        }
        if (strcmp(argv[i], "--runs") == 0) {
            number = &arguments->runs;
        } else if (strcmp(argv[i], "--from") == 0) {
            number = &arguments->from;
        } else if (strcmp(argv[i], "--jobs") == 0) {
            number = &arguments->jobs;
        } else if (strcmp(argv[i], "--seed") == 0) {
            number = &arguments->from;
            arguments->runs = 1;
        }
        if (number == NULL || i + 1 == argc || !parse_number(argv[++i], number)) {
            return false;
        }
    }
    return arguments->jobs >= 1 && arguments->jobs <= JOBS_MAX;
}

static void
run_share(const struct arguments *arguments, uint64_t job, uint64_t *tally)
{
    world.tally = tally;
    (void)signal(SIGABRT, on_signal);
    (void)signal(SIGALRM, on_signal);
    for (uint64_t i = job; i < arguments->runs; i += arguments->jobs) {
        run(arguments->from + i);
    }
}

/* After a process has failed, no more are waited for. */
static bool
run_all(const struct arguments *arguments, uint64_t (*tallies)[EVENTS])
{
    pid_t children[JOBS_MAX];
    bool good = true;
    for (uint64_t job = 0; job < arguments->jobs; job++) {
        children[job] = fork();
        if (children[job] == 0) {
            run_share(arguments, job, tallies[job]);
            exit(0); /* not _exit, so that leaks are found */
        }
        assert(children[job] > 0);
    }
    for (uint64_t left = arguments->jobs; left > 0; left--) {
        int status;
        const pid_t child = wait(&status);
        const bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        for (uint64_t job = 0; job < arguments->jobs; job++) {
            if (children[job] == child) {
                children[job] = 0;
            } else if (failed && children[job] > 0) {
                (void)kill(children[job], SIGTERM);
            }
        }
        good = good && !failed;
    }
    return good;
}

static void
print_tally(uint64_t (*tallies)[EVENTS], uint64_t jobs)
{
    static const char *const names[EVENTS] = {
        [EVENT_DUPLICATE] = "duplicates",
        [EVENT_RETURN] = "returns",
        [EVENT_NACK] = "nacks",
        [EVENT_CLOSE_MAIN] = "channels of the stream closed",
        [EVENT_CLOSE_PROBE] = "channels of probes closed",
        [EVENT_OUTAGE] = "broken routes",
        [EVENT_HOLD] = "refused ones held",
        [EVENT_HOLD_GOOD] = "of them only the route's fault",
        [EVENT_DEAD] = "dead ones",
        [EVENT_DEAD_GOOD] = "of them only the route's fault",
        [EVENT_SKIPPED] = "skipped ones",
        [EVENT_SCHEDULED] = "scheduled ones held",
        [EVENT_WAITING] = "followers held",
        [EVENT_RELEASED] = "followers released",
        [EVENT_FAILED_MOVE] = "rows that could not be moved or deleted",
        [EVENT_WOKEN] = "scheduled ones woken",
        [EVENT_OVERDUE] = "of them met only after their time",
        [EVENT_ACT] = "acts of operators",
        [EVENT_CANCEL] = "cancelled ones",
        [EVENT_CRASH] = "crashes of the database",
        [EVENT_UNDONE] = "changes undone",
        [EVENT_TAKEOVER] = "takeovers",
        [EVENT_REPEATED_FETCH] = "fetches carried out twice",
        [EVENT_DEGRADED] = "routes called bad",
        [EVENT_FULL] = "times too much was held",
        [EVENT_DRAINED] = "drains",
        [EVENT_UNSEEN] = "commits in the log before they were visible",
        [EVENT_MISSED] = "rows that the log missed",
        [EVENT_TAILING] = "times that the log went live",
        [EVENT_POLLING] = "times that it was let go of",
        [EVENT_LOGGED] = "rows of the log",
        [EVENT_PRESENT] = "of them looked for and found",
        [EVENT_NOT_PRESENT] = "of them looked for and not found",
        [EVENT_SAFE] = "times that it was called safe",
        [EVENT_SLOT_LOST] = "slots lost",
        [EVENT_SWEPT] = "times that the sweep found something",
        [EVENT_PREPARED] = "transactions prepared",
        [EVENT_FINAL] = "times that more was final",
        [EVENT_YIELDED] = "outboxes left to the other relay",
        [EVENT_MOVED] = "lanes moved to another connection",
    };
    for (size_t event = 0; event < EVENTS; event++) {
        uint64_t sum = 0;
        for (uint64_t job = 0; job < jobs; job++) {
            sum += tallies[job][event];
        }
        (void)printf("%12" PRIu64 " %s\n", sum, names[event]);
    }
}

int
main(int argc, char **argv)
{
    struct arguments arguments = {.runs = 1000, .from = 1, .jobs = 1};
    if (!parse(argc, argv, &arguments)) {
        (void)fprintf(stderr, "usage: sim [--runs N] [--from S] [--jobs N] [--seed S] [--trace] "
                              "[--count]\n");
        return 64;
    }
    uint64_t(*tallies)[EVENTS] = mmap(NULL, sizeof(*tallies) * JOBS_MAX, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(tallies != MAP_FAILED);
    if (!run_all(&arguments, tallies)) {
        return 1;
    }
    (void)printf("%" PRIu64 " runs, no promise broken\n", arguments.runs);
    if (arguments.count) {
        print_tally(tallies, arguments.jobs);
    }
    return 0;
}
