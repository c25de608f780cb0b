/* SPDX-License-Identifier: MIT */
/* A text read for calls of tools, in pieces, and what came of it. */
#ifndef STOKER_TEST_CALLS_FEED_H
#define STOKER_TEST_CALLS_FEED_H

#include "serve/calls.h"
#include "serve/calls_families.h"

enum { FED_ROOM = 1 << 17, FED_CALLS = 8 };

struct fed {
	char text[FED_ROOM], reasoning[FED_ROOM];
	char names[FED_CALLS][300], ids[FED_CALLS][300];
	char *arguments[FED_CALLS];
	unsigned count, pieces; /* calls, and pieces of arguments */
};

/* @stream has control tokens as "\1NAME\2"; pieces of @piece bytes, 0: random. */
void feed(const struct call_family *f, const char *tools, const char *opening, const char *stream,
	  size_t bytes, size_t piece, struct fed *out);
void fed_free(struct fed *fed);
const struct call_family *family_called(const char *name);
/* "text{name|id|arguments}text", for comparing. */
void fed_show(const struct fed *fed, char *out, size_t room);

/* Of the grammar that call_grammar() makes, without a vocabulary. */
struct stoker_matcher *calls_matcher(const struct call_family *f, const char *tools,
				     enum call_choice choice, const char *name, bool parallel);

/* The two tools of most tests. */
extern const char two_tools[];

#endif
