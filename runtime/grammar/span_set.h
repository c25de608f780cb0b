/* SPDX-License-Identifier: MIT */
/* Sets of characters, as classes and their escapes name them. */
#ifndef STOKER_GRAMMAR_SPAN_SET_H
#define STOKER_GRAMMAR_SPAN_SET_H

#include "grammar/expression.h"

/* Sorted and apart once span_set_tidy() was called; without surrogates, which are no characters. */
struct span_set {
	struct span *spans;
	size_t count, room;
};

void span_set_add(struct translation *t, struct span_set *set, uint32_t low, uint32_t high);
void span_set_add_all(struct translation *t, struct span_set *set, const struct span *spans,
		      size_t count);
void span_set_tidy(struct span_set *set);
/* All that aren't in it; it is tidy before and after. */
struct span_set span_set_others(struct translation *t, const struct span_set *set);
bool span_set_has(const struct span_set *set, uint32_t c);
/* What of it lies from @low to @high. */
struct span_set span_set_within(struct translation *t, const struct span_set *set, uint32_t low,
				uint32_t high);

/*
 * One of these characters where it stands in a JSON string.  Each is written in one way only: as it
 * is where that is allowed, else by the shortest escape, with small letters.
 */
const struct expression *json_character(struct translation *t, const struct span_set *set);
/* @text as the inside of a JSON string, in the same way. */
const struct expression *json_text(struct translation *t, const char *text, size_t bytes);

#endif
