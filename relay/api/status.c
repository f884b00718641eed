#include "relay/api/status.h"

#include "relay/api/held.h"
#include "relay/api/json.h"

static json_t *
json_session(const struct admin_session *session)
{
    json_t *const object = json_object();
    api_json_put(object, "session", json_integer(session->pid));
    api_json_put(object, "address", api_json_text(session->host));
    api_json_put(object, "application", api_json_text(session->application));
    api_json_put(object, "since", api_json_time(session->since_us));
    return object;
}

static json_t *
json_relay(const struct admin_status *status)
{
    const struct admin_relay *const relay = &status->relay;
    if (!relay->known) {
        return json_null();
    }
    json_t *const object = json_object();
    api_json_put(object, "host", api_json_text(relay->host));
    api_json_put(object, "pid", json_integer(relay->pid));
    api_json_put(object, "version", api_json_text(relay->version));
    api_json_put(object, "owned_since", api_json_time(relay->owned_since_us));
    api_json_put(object, "updated_at", api_json_time(relay->updated_us));
    api_json_put(object, "current", json_boolean(admin_status_is_current(status)));
    api_json_put(object, "in_flight", json_integer((json_int_t)relay->in_flight));
    api_json_put(object, "in_flight_since", api_json_time(relay->in_flight_since_us));
    api_json_put(object, "confirmed", json_integer((json_int_t)relay->confirmed));
    api_json_put(object, "rate", json_real(relay->rate));
    api_json_put(object, "paused_reason", api_json_text(relay->paused_reason));
    api_json_put(object, "paused_since", api_json_time(relay->paused_since_us));
    api_json_put(object, "reads", api_json_text(relay->reads));
    api_json_put(object, "reads_reason", api_json_text(relay->reads_reason));
    api_json_put(object, "swept", json_integer((json_int_t)relay->swept));
    return object;
}

static json_t *
json_keeper(const struct admin_keeper *keeper)
{
    if (keeper->what == NULL) {
        return json_null();
    }
    json_t *const object = json_object();
    api_json_put(object, "name", json_string(keeper->name));
    api_json_put(object, "active", json_boolean(keeper->active));
    api_json_put(object, "retained_bytes",
                 keeper->lost ? json_null() : json_integer((json_int_t)keeper->retained));
    return object;
}

json_t *
api_status_json(const char *source, const struct admin_status *status)
{
    const struct admin_session *const owner = admin_status_owner(status);
    json_t *const object = json_object();
    json_t *const standbys = json_array();
    for (size_t i = owner == NULL ? 0 : 1; i < status->sessions.count; i++) {
        api_json_append(standbys, json_session(&status->sessions.sessions[i]));
    }
    api_json_put(object, "source", json_string(source));
    api_json_put(object, "owner", owner == NULL ? json_null() : json_session(owner));
    api_json_put(object, "standbys", standbys);
    api_json_put(object, "pending", json_integer((json_int_t)status->pending));
    api_json_put(object, "pending_exact", json_boolean(status->pending <= ADMIN_MANY));
    api_json_put(object, "oldest_at", api_json_time(status->oldest_us));
    api_json_put(object, "held", api_held_json_counts(&status->held));
    api_json_put(object, "relay", json_relay(status));
    api_json_put(object, "slot", json_keeper(&status->keeper)); /* whatever it is called */
    api_json_put(object, "now", api_json_time(status->now_us));
    return object;
}
