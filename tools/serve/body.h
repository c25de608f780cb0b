/* SPDX-License-Identifier: MIT */
/* The bodies of requests: how large they may be, and what is in them. */
#ifndef STOKER_SERVE_BODY_H
#define STOKER_SERVE_BODY_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "serve/problem.h"

enum {
	BODY_BYTES = 16 << 20,
	/* of one that is refused, read so that its sender gets to the reply */
	BODY_SKIPPED_BYTES = 4 * BODY_BYTES,
	BODY_DEPTH = 64,
	BODY_VALUES = 1 << 20, /* a value takes a hundred bytes once it is parsed */
	BODY_VALUE_BYTES = 128,
};

/* Whether it is small enough to be parsed, without memory; false: @p says why not.  @values is
 * about how many there are. */
bool body_check(const char *data, size_t bytes, size_t *values, struct problem *p);
/* Of one that was checked: an object, and nothing else; false: @p says why not. */
bool body_parse(const char *data, size_t bytes, struct json_object **object, struct problem *p);

#endif
