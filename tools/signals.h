/* SPDX-License-Identifier: MIT */
/* Signals of a conversation: they stop an answer, or interrupt what waits for the next turn. */
#ifndef STOKER_TOOL_SIGNALS_H
#define STOKER_TOOL_SIGNALS_H

#include <stdbool.h>

#include "tool.h"

/* From here on SIGINT and SIGTERM are what the functions below tell.  false without descriptors. */
bool signals_begin(struct stoker_session *session);
/* SIGTSTP and SIGWINCH too, while the terminal is in a mode of ours. */
void signals_editing(bool editing);
void signals_end(void);

/*
 * Waits until @fd has something to read, its end included: returns 0; or until a signal came:
 * returns its number, each once.
 */
int signals_wait(int fd);

/* Signals between these stop the answer, also while the session computes. */
void signals_begin_answer(void);
void signals_end_answer(void);
/* Whether the program is to end. */
bool signals_terminated(void);

#endif
