/* SPDX-License-Identifier: MIT */
/*
 * One thread that sees which clients hang up while they are being answered, and which take too long
 * to ask.  All but watch_start() and watch_stop() are called with the lock of the connections.
 */
#ifndef STOKER_SERVE_WATCH_H
#define STOKER_SERVE_WATCH_H

#include "serve/connections.h"

enum {
	HEADER_SECONDS = 10, /* from being accepted to the end of the first head */
	IDLE_SECONDS = 60,   /* from an answer to the end of the next head */
	BODY_SECONDS = 60,
};

int watch_start(struct connections *all);
void watch_stop(struct connections *all);
/* There is a connection with a time limit, perhaps the first. */
void watch_wake(struct connections *all);

/* From now on it's seen when the client hangs up. */
void watch_add(struct connection *c);
/* It's to be told once more. */
void watch_again(struct connection *c);
void watch_remove(struct connection *c);

/* In connections.c, for here: closes it, which its thread notices.  @status, or 0, is told where
 * nothing was sent yet. */
void connection_end(struct connection *c, unsigned status);

#endif
