/* SPDX-License-Identifier: MIT */
/* The server as a whole: what its options say, and what all requests share. */
#ifndef STOKER_SERVE_SERVER_H
#define STOKER_SERVE_SERVER_H

#include <stdatomic.h>
#include <stdint.h>

#include "serve/connections.h"
#include "serve/guard.h"
#include "serve/options.h"

struct MHD_Daemon;
struct metrics;
struct models;

struct server {
	const struct serve_options *options;
	struct connections connections;
	struct MHD_Daemon *daemon;
	int listening[8]; /* sockets */
	unsigned listening_count;
	int prompts;	       /* file that they are written to; -1: none */
	bool made_socket;      /* its file is ours */
	char address[160];     /* "http://127.0.0.1:8080" */
	_Atomic uint64_t held; /* bytes of memory that bodies take */
	struct guard_rules rules;
	struct keys keys;
	struct models *models;
	struct metrics *metrics;
};

/* http.c: 0, or -errno with a message */
int http_start(struct server *s, struct stoker_error *err);
/* All connections have to be told before that they end. */
void http_stop(struct server *s);
/* Takes the descriptor over. */
void http_add(struct server *s, int fd, const struct sockaddr *address, socklen_t bytes);

#endif
