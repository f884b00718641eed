/* relay/rabbit/lane.h - one connection that publishes the rows of a source, and the broker's events about them. The
 * daemon sees nothing else of RabbitMQ's protocol. Never blocks, except in broker_lane_close. One thread. */
#ifndef RELAY_RABBIT_LANE_H
#define RELAY_RABBIT_LANE_H

#include "base/span.h"
#include "relay/config/config.h"
#include "relay/ports/row.h"

struct broker_lane;

/* How many hosts the broker's URI has: 1 to BROKER_HOSTS_MAX. Below, a host is its place there, from 0. */
#define BROKER_HOSTS_MAX 16
uint32_t broker_hosts(const struct broker_config *broker);

enum broker_lane_event_type {
    /* Call broker_lane_open next; text: why hosts of the URI were passed over, or NULL. */
    BROKER_LANE_CONNECTED,
    BROKER_LANE_READY,     /* ready for publishing */
    BROKER_LANE_CONFIRMED, /* tag, multiple */
    BROKER_LANE_NACKED,    /* likewise */
    BROKER_LANE_RETURNED,  /* id, text: no queue takes the message; its confirm follows */
    /* The broker closed the channel; it may be opened again: text, and the blamed exchange, if any. */
    BROKER_LANE_REFUSED,
    BROKER_LANE_BLOCKED, /* the broker takes no messages: text */
    BROKER_LANE_UNBLOCKED,
    /* It goes on without its fence: text. */
    BROKER_LANE_UNFENCED,  /* another connection still has it */
    BROKER_LANE_FENCELESS, /* the broker allows none */
    /* Connection gone: the broker says that what was sent is wrong, or made it fail: error. */
    BROKER_LANE_MISTAKEN,
    BROKER_LANE_CUT, /* connection gone, without a close from the broker: error */
    BROKER_LANE_LOST, /* connection gone, for another reason: error. Class ERROR_CONFIG: an operator must act */
    /* The broker sent something senseless: text; the connection is open, but cannot be trusted any more. */
    BROKER_LANE_STRANGE,
};

/* What it points to is valid until the next call. */
struct broker_lane_event {
    enum broker_lane_event_type type;
    uint64_t tag;
    bool multiple;
    int64_t id;
    const char *text;
    struct span exchange; /* size 0: none */
    const struct error *error;
};

/* Keeps `broker` by reference. `source`: the source's name, which messages and the broker get to see; borrowed. NULL
 * with *reterr. */
struct broker_lane *broker_lane_new(const struct broker_config *broker, const char *source,
                                    struct error *reterr);
void broker_lane_free(struct broker_lane *lane); /* closes the socket at once; takes NULL */

/* The host with which the next broker_lane_connect begins; alone: if it cannot be reached, no other is tried. */
void broker_lane_begin_at(struct broker_lane *lane, uint32_t host, bool alone);
/* Begins to connect, with the password that its file has now, or its command writes: then the command runs first. False
 * with *reterr. */
bool broker_lane_connect(struct broker_lane *lane, uint64_t now_us,
                         struct error *reterr) MUST_CHECK;
/* Opens its channel. */
void broker_lane_open(struct broker_lane *lane, uint64_t now_us);

/* Wants, for this connection and all later ones, fence `number` of the outbox (fence.h; `outbox` is source_owned's), until
 * broker_lane_unfence: while another connection has it, this one waits a little (broker_lane_waits), then goes on without. */
void broker_lane_fence(struct broker_lane *lane, const char *outbox, uint32_t number,
                       uint64_t now_us);
/* Gives it up behind what was published; written by broker_lane_flush. */
void broker_lane_unfence(struct broker_lane *lane, uint64_t now_us);
/* Nothing may be published yet. broker_lane_process ends that. */
bool broker_lane_waits(const struct broker_lane *lane);

/* Drops the connection at once, without an event. */
void broker_lane_abort(struct broker_lane *lane);
/* Closes the connection properly, so that the broker does not log a lost one. Waits up to a second. */
void broker_lane_close(struct broker_lane *lane);
/* Begins to do so, and gives its fence up; BROKER_LANE_CUT or the like follows when the broker has agreed. Nothing may be unconfirmed. */
void broker_lane_begin_close(struct broker_lane *lane);

/* As session_fd and its like (amqp/session.h). */
int broker_lane_fd(const struct broker_lane *lane);
short broker_lane_poll_events(const struct broker_lane *lane);
uint64_t broker_lane_deadline_us(const struct broker_lane *lane);
void broker_lane_process(struct broker_lane *lane, short revents, uint64_t now_us);
bool broker_lane_next(struct broker_lane *lane, struct broker_lane_event *ret_event);
void broker_lane_flush(struct broker_lane *lane, uint64_t now_us);
size_t broker_lane_queued_bytes(const struct broker_lane *lane);
uint64_t broker_lane_out_bytes(const struct broker_lane *lane);
uint64_t broker_lane_taken_bytes(const struct broker_lane *lane);
/* Of the current or last attempt. */
uint32_t broker_lane_host(const struct broker_lane *lane);
const char *broker_lane_peer(const struct broker_lane *lane);

/* Queues the row; the broker numbers the messages of a channel from 1 on. Fails as publisher_publish does. */
bool broker_lane_publish(struct broker_lane *lane, const struct row *row,
                         struct error *reterr) MUST_CHECK;

#endif
