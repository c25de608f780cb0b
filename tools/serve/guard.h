/* SPDX-License-Identifier: MIT */
/* Who may ask: pure functions over what a request says of itself. */
#ifndef STOKER_SERVE_GUARD_H
#define STOKER_SERVE_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>

/* Nobody but this machine reaches it; Unix sockets, too. */
bool guard_is_loopback(const struct sockaddr *address);

#endif
