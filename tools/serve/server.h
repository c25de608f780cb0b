/* SPDX-License-Identifier: MIT */
/* The server as a whole: what its options say, and what all requests share. */
#ifndef STOKER_SERVE_SERVER_H
#define STOKER_SERVE_SERVER_H

#include <stdatomic.h>
#include <stdint.h>

#include "sampling.h"
#include "serve/connections.h"
#include "tool.h"

struct MHD_Daemon;

struct serve_options {
	const char *host, *socket, *api_key_file, *log_prompts, *alias;
	struct string_list models;	  /* files, folders, or names of "stoker list" */
	struct string_list allowed_hosts; /* beside those that are ours */
	uint64_t port, sequences, context, queue, max_gap;
	bool insecure, deterministic;
	struct kv_options kv;
	struct compute_options compute;
	struct sampling_options sampling; /* where a request says nothing */
};

struct models;

struct server {
	const struct serve_options *options;
	struct connections connections;
	struct MHD_Daemon *daemon;
	int listening[8]; /* sockets */
	unsigned listening_count;
	char address[160];	 /* "http://127.0.0.1:8080" */
	_Atomic uint64_t held;	 /* bytes of memory that bodies take */
	_Atomic uint32_t loaded; /* parts of 2^16 of what is loaded at the start */
	struct models *models;
};

/* Of loading, for /health: 0 to 1, where requests can be answered.  1 unless it is set. */
void server_set_progress(struct server *s, double progress);
double server_progress(struct server *s);

/* http.c: 0, or -errno with a message */
int http_start(struct server *s, struct stoker_error *err);
/* All connections have to be told before that they end. */
void http_stop(struct server *s);
/* Takes the descriptor over. */
void http_add(struct server *s, int fd, const struct sockaddr *address, socklen_t bytes);

#endif
