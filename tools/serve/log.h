/* SPDX-License-Identifier: MIT */
/* A line on standard error for each request, without anything that was asked or answered. */
#ifndef STOKER_SERVE_LOG_H
#define STOKER_SERVE_LOG_H

#include <stdbool.h>

struct exchange;

/* @whole: the reply was sent to its end. */
void log_request(const struct exchange *x, bool whole);

#endif
