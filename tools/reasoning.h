/* SPDX-License-Identifier: MIT */
/* What a model thinks, told apart from what it answers, while the text comes. */
#ifndef STOKER_TOOL_REASONING_H
#define STOKER_TOOL_REASONING_H

#include <stdbool.h>
#include <stddef.h>

#include <stoker/text.h>

enum part { PART_ANSWER, PART_REASONING };

/* Receives pieces of text as they are settled; nonzero stops. */
typedef int (*part_function)(void *context, enum part part, const char *text, size_t bytes);

struct splitter;

/*
 * @opening: how the prompt ends, @bytes that the template wrote: it may have begun the reasoning.
 * NULL without memory.
 */
struct splitter *splitter_create(const char *opening, size_t bytes, part_function put,
				 void *context);
void splitter_free(struct splitter *s);

/* Text, in pieces of any size.  Nonzero: what @put returned, or -ENOMEM. */
int splitter_text(struct splitter *s, const char *text, size_t bytes);
/*
 * Whether a token of this name is to be told by splitter_control().  Tags that aren't control
 * tokens are text like any other, which a model may write in an answer.
 */
bool splitter_knows(const char *name, bool control);
/* Such a token, spelled out; another one changes nothing. */
int splitter_control(struct splitter *s, const char *name);
/* No more text will come. */
int splitter_end(struct splitter *s);

/* Whether a prompt that ends so, @bytes that the template wrote, has begun reasoning, and what
 * stands around that. */
bool reasoning_begun(const char *opening, size_t bytes, const char **open, const char **close);
/* What stands around reasoning: marks that the vocabulary has, or else what most models write. */
void reasoning_tags(const struct stoker_vocabulary *vocabulary, const char **open,
		    const char **close);

#endif
