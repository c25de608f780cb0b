/* SPDX-License-Identifier: MIT */
/*
 * From the tokens of an answer to pieces of text: whole characters, without what may turn out to be
 * a stop string, reasoning and calls of tools told apart.
 */
#ifndef STOKER_SERVE_PIECES_H
#define STOKER_SERVE_PIECES_H

#include "serve/generation.h"

struct pieces;

/* Of @params what is about text.  @end: one more stop string, which isn't told; or NULL.  NULL
 * without memory. */
struct pieces *pieces_create(const struct generation_params *params,
			     const struct stoker_vocabulary *vocabulary, const char *end);
void pieces_free(struct pieces *s);

/* One more token.  1: the text has come to an end there; -errno. */
int pieces_token(struct pieces *s, const struct token_info *token);
/* No more will come. */
int pieces_end(struct pieces *s);
/* The next piece that came of what was told; false: none.  It lives until pieces_token(). */
bool pieces_next(struct pieces *s, struct piece *piece);

/* The stop string that ended it, one of the client's; NULL: none did. */
const char *pieces_stop(const struct pieces *s);
/* Whether a call of a tool came up. */
bool pieces_has_calls(const struct pieces *s);
/* Tokens before the answer, when there was reasoning. */
uint32_t pieces_reasoning(const struct pieces *s);

#endif
