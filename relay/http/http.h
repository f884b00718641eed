/* relay/http/http.h - HTTP for people and programs that watch the relay: metrics, health. Started by `run` when the
 * configuration has a section `http`. It only looks at the board and asks the databases: what it does and whether it works
 * changes nothing for the messages. */
#ifndef RELAY_HTTP_HTTP_H
#define RELAY_HTTP_HTTP_H

#include <stdbool.h>

#include "relay/daemon/board.h"

struct http;

/* By the board's configuration; NULL if that has no section `http`. If the address cannot be had, that is logged, and tried
 * again every HTTP_AGAIN_US. Main thread. */
#define HTTP_AGAIN_US UINT64_C(10000000)
struct http *http_start(struct board *board);

/* Ends all connections. False: a database did not answer in time, and a thread still waits for it; then the process must
 * end without freeing anything more (_exit). Takes NULL. Main thread. */
bool http_stop(struct http *http);

#endif
