#include "tests/bench/sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "amqp/frame.h"
#include "amqp/wire.h"
#include "base/clock.h"
#include "tests/bench/bench.h"

#define CONNECTIONS_MAX 8
#define READ_BYTES ((size_t)256 * 1024)
#define FRAME_MAX 131072u
#define OUTPUT_BYTES 512
#define PROTOCOL_HEADER_BYTES 8

/* AMQP 0-9-1: class and method. */
enum method {
    CONNECTION_START = 10 << 16 | 10,
    CONNECTION_START_OK = 10 << 16 | 11,
    CONNECTION_TUNE = 10 << 16 | 30,
    CONNECTION_TUNE_OK = 10 << 16 | 31,
    CONNECTION_OPEN = 10 << 16 | 40,
    CONNECTION_OPEN_OK = 10 << 16 | 41,
    CONNECTION_CLOSE = 10 << 16 | 50,
    CONNECTION_CLOSE_OK = 10 << 16 | 51,
    CHANNEL_OPEN = 20 << 16 | 10,
    CHANNEL_OPEN_OK = 20 << 16 | 11,
    CHANNEL_CLOSE = 20 << 16 | 40,
    CHANNEL_CLOSE_OK = 20 << 16 | 41,
    QUEUE_DECLARE = 50 << 16 | 10,
    QUEUE_DECLARE_OK = 50 << 16 | 11,
    QUEUE_DELETE = 50 << 16 | 40,
    QUEUE_DELETE_OK = 50 << 16 | 41,
    CONFIRM_SELECT = 85 << 16 | 10,
    CONFIRM_SELECT_OK = 85 << 16 | 11,
    BASIC_PUBLISH = 60 << 16 | 40,
    BASIC_ACK = 60 << 16 | 80,
};

#define BASIC_CLASS 60
#define FLAG_CONTENT_TYPE 0x8000
#define FLAG_HEADERS 0x2000
#define FLAG_DELIVERY_MODE 0x1000
#define FLAG_MESSAGE_ID 0x0080
#define MANDATORY 1
#define PERSISTENT 2

struct connection {
    int fd;
    bool greeted;
    uint16_t channel; /* with confirms */
    uint64_t published;
    uint64_t confirmed;
    uint64_t body_left; /* of the message whose frames are arriving */
    size_t body_at;
    size_t size; /* bytes of input that are not handled yet */
    uint8_t body[BENCH_PAYLOAD_BYTES];
    uint8_t input[READ_BYTES + FRAME_MAX];
};

static struct sink_tally *tally;
static int64_t expected;
static uint8_t *seen;

static _Noreturn void
refuse(const char *why)
{
    bench_fail("the sink refuses %s", why);
}

/* ---- what goes out ---- */

static void
send_frame(const struct connection *connection, uint16_t channel, enum method method,
           const uint8_t *arguments, size_t size)
{
    uint8_t frame[OUTPUT_BYTES];
    uint8_t *at = frame_begin_method(frame, channel, method, size);
    at = put_bytes(at, arguments, size);
    at = put_u8(at, FRAME_END);
    /* A few bytes for a socket that is read all the time: it takes them unless the connection is gone. */
    if (send(connection->fd, frame, (size_t)(at - frame), MSG_NOSIGNAL) != at - frame) {
        refuse("a peer that does not read");
    }
}

static void
send_start(const struct connection *connection)
{
    static const uint8_t arguments[] = {0,   9,   0,   0, 0, 0, 0, 0,   0,   5,   'P', 'L',
                                        'A', 'I', 'N', 0, 0, 0, 5, 'e', 'n', '_', 'U', 'S'};
    send_frame(connection, 0, CONNECTION_START, arguments, sizeof(arguments));
}

static void
send_tune(const struct connection *connection)
{
    uint8_t arguments[8];
    (void)put_u16(put_u32(put_u16(arguments, RABBIT_CHANNEL_MAX), FRAME_MAX), 0);
    send_frame(connection, 0, CONNECTION_TUNE, arguments, sizeof(arguments));
}

static void
confirm(struct connection *connection)
{
    uint8_t arguments[9];
    if (connection->published == connection->confirmed) {
        return;
    }
    connection->confirmed = connection->published;
    (void)put_u8(put_u64(arguments, connection->confirmed), 1);
    send_frame(connection, connection->channel, BASIC_ACK, arguments, sizeof(arguments));
}

/* ---- what comes in ---- */

static void
count(int64_t number)
{
    uint8_t *bits = &seen[number / 8];
    const uint8_t bit = (uint8_t)(1u << (number % 8));
    if ((*bits & bit) != 0) {
        atomic_fetch_add_explicit(&tally->twice, 1, memory_order_relaxed);
        return;
    }
    *bits |= bit;
    const int64_t came = atomic_load_explicit(&tally->came, memory_order_relaxed) + 1;
    atomic_store_explicit(&tally->came, came, memory_order_relaxed); /* nobody else writes it */
    if (came == expected / 10) {
        atomic_store(&tally->begun_us, clock_monotonic_us());
    } else if (came == expected - expected / 10) {
        atomic_store(&tally->ended_us, clock_monotonic_us());
    }
}

static void
check_body(struct connection *connection)
{
    static uint8_t filler[BENCH_PAYLOAD_BYTES];
    if (filler[0] == 0) {
        memset(filler, BENCH_FILLER, sizeof(filler));
    }
    struct reader reader = reader_of((struct span){connection->body, sizeof(connection->body)});
    const int64_t number = (int64_t)read_u64(&reader);
    if (number < 1 || number > expected ||
        memcmp(connection->body + sizeof(number), filler, sizeof(filler) - sizeof(number)) != 0) {
        refuse("a body that was not written");
    }
    count(number);
    connection->published++;
}

static void
take_publish(const struct connection *connection, uint16_t channel, struct reader *reader)
{
    (void)read_u16(reader); /* reserved */
    (void)read_short_string(reader);
    (void)read_short_string(reader);
    if ((read_u8(reader) & MANDATORY) == 0 || channel != connection->channel) {
        refuse("a publish that is not mandatory, or without confirms");
    }
}

/* The relay's fence. */
static void
take_declare(const struct connection *connection, uint16_t channel, struct reader *reader)
{
    uint8_t arguments[1 + UINT8_MAX + 8];
    (void)read_u16(reader); /* reserved */
    const struct span name = read_short_string(reader);
    uint8_t *const at =
        put_u64(put_short_string(arguments, name), 0); /* no messages, no consumers */
    send_frame(connection, channel, QUEUE_DECLARE_OK, arguments, (size_t)(at - arguments));
}

static void
check_properties(struct reader *reader)
{
    const uint16_t flags = read_u16(reader);
    if ((flags & FLAG_CONTENT_TYPE) != 0) {
        (void)read_short_string(reader);
    }
    if ((flags & FLAG_HEADERS) != 0) {
        (void)read_long_string(reader);
    }
    const bool persistent = (flags & FLAG_DELIVERY_MODE) != 0 && read_u8(reader) == PERSISTENT;
    if (reader->bad || !persistent || (flags & FLAG_MESSAGE_ID) == 0) {
        refuse("a message that is not persistent, or has no id");
    }
}

static void
take_header(struct connection *connection, struct span payload)
{
    struct reader reader = reader_of(payload);
    (void)read_u32(&reader); /* class, weight */
    connection->body_left = read_u64(&reader);
    connection->body_at = 0;
    check_properties(&reader);
    if (connection->body_left != BENCH_PAYLOAD_BYTES) {
        refuse("a body of another size than was written");
    }
}

static void
take_body(struct connection *connection, struct span payload)
{
    if (payload.size > connection->body_left) {
        refuse("more of a body than its header said");
    }
    memcpy(connection->body + connection->body_at, payload.data, payload.size);
    connection->body_at += payload.size;
    connection->body_left -= payload.size;
    if (connection->body_left == 0) {
        check_body(connection);
    }
}

/* False: the peer has closed the connection. */
static bool
take_method(struct connection *connection, uint16_t channel, struct span payload)
{
    static const uint8_t zeros[4] = {0};
    struct reader reader = reader_of(payload);
    switch (read_u32(&reader)) {
    case BASIC_PUBLISH:
        take_publish(connection, channel, &reader);
        break;
    case CONNECTION_START_OK:
        send_tune(connection);
        break;
    case CONNECTION_TUNE_OK:
        break;
    case CONNECTION_OPEN:
        send_frame(connection, 0, CONNECTION_OPEN_OK, zeros, 1);
        break;
    case CHANNEL_OPEN:
        send_frame(connection, channel, CHANNEL_OPEN_OK, zeros, 4);
        break;
    case QUEUE_DECLARE:
        take_declare(connection, channel, &reader);
        break;
    case QUEUE_DELETE:
        send_frame(connection, channel, QUEUE_DELETE_OK, zeros, 4);
        break;
    case CONFIRM_SELECT:
        connection->channel = channel;
        send_frame(connection, channel, CONFIRM_SELECT_OK, zeros, 0);
        break;
    case CHANNEL_CLOSE:
        send_frame(connection, channel, CHANNEL_CLOSE_OK, zeros, 0);
        break;
    case CONNECTION_CLOSE:
        send_frame(connection, 0, CONNECTION_CLOSE_OK, zeros, 0);
        return false;
    default:
        refuse("a method that it does not know");
    }
    return true;
}

static bool
take_frame(struct connection *connection, const struct frame *frame)
{
    switch (frame->type) {
    case FRAME_METHOD:
        return take_method(connection, frame->channel, frame->payload);
    case FRAME_HEADER:
        take_header(connection, frame->payload);
        break;
    case FRAME_BODY:
        take_body(connection, frame->payload);
        break;
    case FRAME_HEARTBEAT:
        break;
    }
    return true;
}

static size_t
take_greeting(struct connection *connection)
{
    static const uint8_t greeting[PROTOCOL_HEADER_BYTES] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
    if (connection->size < sizeof(greeting)) {
        return 0;
    }
    if (memcmp(connection->input, greeting, sizeof(greeting)) != 0) {
        refuse("another protocol");
    }
    connection->greeted = true;
    send_start(connection);
    return sizeof(greeting);
}

static bool
take_input(struct connection *connection)
{
    size_t used = connection->greeted ? 0 : take_greeting(connection);
    bool open = true;
    struct frame frame;
    while (open && connection->greeted && used < connection->size) {
        const enum frame_result result =
            frame_read(connection->input + used, connection->size - used, FRAME_MAX, &frame);
        if (result == FRAME_PARTIAL) {
            break;
        }
        if (result == FRAME_BAD) {
            refuse("bytes that are no frame");
        }
        open = take_frame(connection, &frame);
        used += frame.payload.size + FRAME_OVERHEAD;
    }
    connection->size -= used;
    memmove(connection->input, connection->input + used, connection->size);
    return open;
}

/* False: the connection is over. */
static bool
serve(struct connection *connection)
{
    const ssize_t size = recv(connection->fd, connection->input + connection->size,
                              sizeof(connection->input) - connection->size, 0);
    if (size <= 0) {
        return false;
    }
    connection->size += (size_t)size;
    const bool open = take_input(connection);
    if (open) {
        confirm(connection);
    }
    return open;
}

/* ---- the process ---- */

static void
admit(int listener, struct connection *connection)
{
    const int on = 1;
    *connection = (struct connection){.fd = accept(listener, NULL, NULL)};
    if (connection->fd < 0) {
        refuse("a connection");
    }
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static _Noreturn void
serve_all(int listener)
{
    static struct connection connections[CONNECTIONS_MAX];
    struct pollfd polls[CONNECTIONS_MAX + 1] = {{.fd = listener, .events = POLLIN}};
    size_t open = 0;
    for (;;) {
        if (poll(polls, open + 1, -1) < 0 && errno != EINTR) {
            refuse("to wait");
        }
        for (size_t i = open; i > 0; i--) { /* the last one takes the place of one that ends */
            if (polls[i].revents != 0 && !serve(&connections[i - 1])) {
                (void)close(connections[i - 1].fd);
                connections[i - 1] = connections[open - 1];
                polls[i] = polls[open--];
            }
        }
        if (polls[0].revents != 0 && open < CONNECTIONS_MAX) {
            admit(listener, &connections[open++]);
            polls[open] = (struct pollfd){.fd = connections[open - 1].fd, .events = POLLIN};
        }
    }
}

static int
listen_somewhere(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, CONNECTIONS_MAX) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        bench_fail("the sink finds no port: %s", strerror(errno));
    }
    *ret_port = ntohs(address.sin_port);
    return listener;
}

struct sink
sink_start(int64_t messages)
{
    struct sink sink;
    const int listener = listen_somewhere(&sink.port);
    sink.tally =
        mmap(NULL, sizeof(*sink.tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sink.process = sink.tally == MAP_FAILED ? -1 : fork();
    if (sink.process == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* so that it ends with a bench that fails */
        tally = sink.tally;
        expected = messages;
        seen = calloc((size_t)messages / 8 + 1, 1);
        if (seen == NULL) {
            refuse("without memory");
        }
        serve_all(listener);
    }
    if (sink.process < 0) {
        bench_fail("no sink: %s", strerror(errno));
    }
    (void)close(listener); /* the sink's process has it */
    return sink;
}

void
sink_stop(struct sink *sink)
{
    int status;
    (void)kill(sink->process, SIGKILL); /* waitpid shows whether it had ended before */
    if (waitpid(sink->process, &status, 0) != sink->process || WIFEXITED(status)) {
        bench_fail("the sink ended by itself");
    }
    (void)munmap(sink->tally, sizeof(*sink->tally)); /* a whole mapping can always be unmapped */
}
