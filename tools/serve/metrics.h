/* SPDX-License-Identifier: MIT */
/* What GET /metrics tells: counters and histograms of a server, which any thread adds to. */
#ifndef STOKER_SERVE_METRICS_H
#define STOKER_SERVE_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/text.h"

struct metrics;
struct models;
struct stoker_engine;
struct stoker_model;

struct metrics *metrics_create(void); /* NULL without memory */
void metrics_free(struct metrics **m);

/* A request has had its reply.  @route: a path of the table of routes, never what a client wrote;
 * NULL: none of them. */
void metrics_request(struct metrics *m, const char *route, unsigned status, double seconds);

/* What an engine has done in all, before it goes. */
void metrics_keep(struct metrics *m, struct stoker_engine *engine,
		  const struct stoker_model *model);
/* A token has come, so long after the one before, or as the @first one after its request. */
void metrics_token(struct metrics *m, double seconds, bool first);

/* Prometheus' text format. */
void metrics_write(struct metrics *m, struct models *models, struct text *out);
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
