/* SPDX-License-Identifier: MIT */
/* The sockets that the server listens on, and what systemd is told. */
#ifndef STOKER_SERVE_LISTEN_H
#define STOKER_SERVE_LISTEN_H

struct server;

/*
 * Those that the service manager has opened, or else what the options say; sets the server's
 * address.
 * Refuses those that other machines reach, where neither a key nor an option allows it.  An exit
 * status, after a complaint.
 */
int listen_start(struct server *s);
void listen_stop(struct server *s);

/* A line such as "READY=1", where a service manager wants to know. */
void listen_notify(const char *state);

#endif
