/* SPDX-License-Identifier: MIT */
/* Clients of a server: one thread, a connection each. */
#ifndef STOKER_TOOL_BENCH_SERVE_CLIENT_H
#define STOKER_TOOL_BENCH_SERVE_CLIENT_H

#include <sys/socket.h>

#include "bench/serve_reply.h"

enum { MOST_CLIENTS = 256 };

struct target {
	struct sockaddr_storage address;
	socklen_t length;
	char host[64]; /* as the Host field has it */
};

/* http://127.0.0.1:8080, [::1] or localhost.  An exit status, after a complaint about others. */
int target_parse(const char *url, struct target *target);

struct client {
	unsigned number;
	int fd;	      /* -1: there is no connection */
	bool busy;    /* from its request to the end of the reply */
	bool reused;  /* the connection has had requests */
	uint64_t job; /* what the request is about, for the load */
	double began; /* seconds: when the request was due */
	/* hung up after so many pieces of text, or seconds; 0: not at all */
	uint64_t hang_up_pieces;
	double hang_up_seconds;
	bool hung_up;
	char *request;
	size_t bytes, sent;
	struct reply reply;
};

enum turn { TURN_GO, TURN_WAIT, TURN_OVER };

/* What the clients do. */
struct drive {
	const struct target *target;
	struct client *clients;
	unsigned count;
	double wake; /* when somebody who waits is to be asked again */
	void *context;
	/* What an idle client does next: has it called client_post(), waits, or has no more to do.
	 */
	enum turn (*next)(void *context, struct client *c, double now);
	/* A reply is whole, or the client hung up, or (its status is 0) the connection failed. */
	void (*ended)(void *context, struct client *c, double now);
	/* More of a reply has come; may be NULL. */
	void (*heard)(void *context, struct client *c, double now);
	double stalled; /* seconds without anything from anybody that are a failure */
};

struct client *clients_create(unsigned count, struct samples *gaps);
void clients_free(struct client **clients, unsigned count);
/* A request with this body (JSON), or GET without one; false without memory. */
bool client_post(struct client *c, const struct target *t, const char *path, const char *body);
void client_hang_up(struct client *c);

/* Until all are over.  An exit status. */
int drive_run(struct drive *d);
/* One request on its own. */
int target_ask(const struct target *t, const char *path, const char *body, struct client **answer);

#endif
