/* SPDX-License-Identifier: MIT */
/* A line on standard error for each request, without anything that was asked or answered; that goes
 * to a file of its own, if somebody wants it. */
#ifndef STOKER_SERVE_LOG_H
#define STOKER_SERVE_LOG_H

#include <stdbool.h>

struct exchange;

/* @whole: the reply was sent to its end. */
void log_request(const struct exchange *x, bool whole);

/* -1 after a complaint. */
int log_open_prompts(const char *path);
void log_prompt(const struct exchange *x, int fd);

#endif
