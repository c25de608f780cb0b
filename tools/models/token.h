/* SPDX-License-Identifier: MIT */
/* Where the hub is, and the token that it wants for what isn't public. */
#ifndef STOKER_TOOL_TOKEN_H
#define STOKER_TOOL_TOKEN_H

#include <stdbool.h>

/* $HF_ENDPOINT or the usual one, without a slash at its end; a string of the heap. */
char *hub_endpoint(void);
/* $HF_HUB_OFFLINE */
bool hub_offline(void);
/*
 * Of @file, or $HF_TOKEN, or the file that the hub's own program keeps; a string of the heap, NULL
 * without one.  false after a complaint.
 */
bool hub_token(const char *file, char **token);

#endif
