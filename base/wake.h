/* base/wake.h - eventfds by which one thread wakes or stops another. Any thread; nothing here can fail. */
#ifndef BASE_WAKE_H
#define BASE_WAKE_H

#include <stdbool.h>
#include <stdint.h>

/* Raises the eventfd, which may be raised already. */
void wake_raise(int fd);

/* Waits until it is raised, and leaves it so: true; or for wait_us: false. */
bool wake_wait_us(int fd, uint64_t wait_us);

#endif
