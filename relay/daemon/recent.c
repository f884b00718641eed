#include "relay/daemon/recent.h"

#include <pthread.h>
#include <string.h>

/* Event number n is at n % RECENT_MAX. */
static struct {
    pthread_mutex_t mutex;
    uint64_t last; /* number of the last event; 0: none yet */
    struct recent_event events[RECENT_MAX];
} ring = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Cuts where a character of UTF-8 begins. */
static void
copy(char *to, size_t room, const void *data, size_t size)
{
    const char *const bytes = data;
    size_t kept = size < room ? size : room - 1;
    while (kept < size && kept > 0 && ((unsigned char)bytes[kept] & 0xc0) == 0x80) {
        kept--;
    }
    if (kept > 0) {
        memcpy(to, bytes, kept);
    }
    to[kept] = '\0';
}

#define COPY_TEXT(member, text) copy((member), sizeof(member), (text), strlen(text))
#define COPY_FIELD(member, field) copy((member), sizeof(member), (field)->data, (field)->size)

static void
take_field(struct recent_event *event, const struct log_field *field)
{
    if (field->kind != LOG_KIND_TEXT || field->data == NULL) {
        return;
    }
    if (strcmp(field->name, "msg") == 0) {
        COPY_FIELD(event->words, field);
    } else if (strcmp(field->name, "error") == 0 || strcmp(field->name, "reason") == 0) {
        COPY_FIELD(event->error, field);
    } else if (strcmp(field->name, "source") == 0) {
        COPY_FIELD(event->source, field);
    }
}

void
recent_note(uint64_t wall_us, enum log_level level, const char *event, const char *source,
            const struct log_field *fields)
{
    struct recent_event noted = {.wall_us = wall_us, .level = level};
    if (level == LOG_DEBUG) {
        return;
    }
    COPY_TEXT(noted.event, event);
    COPY_TEXT(noted.source, source == NULL ? "" : source);
    for (; fields->name != NULL; fields++) {
        take_field(&noted, fields);
    }
    (void)pthread_mutex_lock(&ring.mutex); /* cannot fail: this thread does not hold it */
    noted.number = ++ring.last;
    ring.events[noted.number % RECENT_MAX] = noted;
    (void)pthread_mutex_unlock(&ring.mutex); /* as above */
}

size_t
recent_get(uint64_t after, struct recent_event ret_events[RECENT_MAX])
{
    size_t count = 0;
    (void)pthread_mutex_lock(&ring.mutex); /* as above */
    const uint64_t first = ring.last > RECENT_MAX ? ring.last - RECENT_MAX : 0;
    for (uint64_t number = (after > first ? after : first) + 1; number <= ring.last; number++) {
        ret_events[count++] = ring.events[number % RECENT_MAX];
    }
    (void)pthread_mutex_unlock(&ring.mutex); /* as above */
    return count;
}
