/* SPDX-License-Identifier: MIT */
/* The thread that takes connections, or tells them that there are too many. */
#ifndef STOKER_SERVE_ACCEPT_H
#define STOKER_SERVE_ACCEPT_H

#include <pthread.h>

struct server;

struct accepter {
	struct server *server;
	pthread_t thread;
	int end; /* readable: it's to end */
};

/* 0 or -errno */
int accept_start(struct accepter *a, struct server *s);
void accept_stop(struct accepter *a);

#endif
