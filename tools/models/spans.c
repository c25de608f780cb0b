// SPDX-License-Identifier: MIT
/* What of a file is missing: stretches of bytes, some of which are being fetched. */
#include "models/spans.h"

#include <stdlib.h>

static bool in_use(const struct span *s)
{
	return s->taken || s->at < s->end;
}

static struct span *unused(struct spans *s)
{
	for (unsigned i = 0; i < MAX_SPANS; i++)
		if (!in_use(&s->list[i]))
			return &s->list[i];
	return NULL;
}

struct span *spans_reset(struct spans *s, uint64_t at, uint64_t end)
{
	*s = (struct spans){ 0 };
	s->list[0] = (struct span){ .at = at, .end = end };
	return &s->list[0];
}

bool spans_add(struct spans *s, uint64_t at, uint64_t end)
{
	struct span *to = unused(s);

	if (to)
		*to = (struct span){ .at = at, .end = end };
	return to != NULL;
}

void spans_cut(struct spans *s, uint64_t end)
{
	for (unsigned i = 0; i < MAX_SPANS; i++) {
		struct span *one = &s->list[i];

		if (in_use(one) && one->end > end)
			one->end = end > one->at ? end : one->at;
	}
}

struct span *spans_take(struct spans *s, uint64_t most)
{
	struct span *first = NULL;

	for (unsigned i = 0; i < MAX_SPANS; i++) {
		struct span *one = &s->list[i];

		if (in_use(one) && !one->taken && (!first || one->at < first->at))
			first = one;
	}
	if (!first)
		return NULL;
	first->taken = true;
	/* without room for the rest all of it is taken; so it is when little more is left */
	if (first->end - first->at > most && first->end - first->at - most > most / 2 &&
	    spans_add(s, first->at + most, first->end))
		first->end = first->at + most;
	return first;
}

uint64_t spans_front(const struct spans *s, uint64_t bytes)
{
	for (unsigned i = 0; i < MAX_SPANS; i++)
		if (s->list[i].at < s->list[i].end && s->list[i].at < bytes)
			bytes = s->list[i].at;
	return bytes;
}

static uint64_t sum(const struct spans *s, bool taken_too)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < MAX_SPANS; i++)
		if (!s->list[i].taken || taken_too)
			bytes += s->list[i].end - s->list[i].at;
	return bytes;
}

uint64_t spans_missing(const struct spans *s)
{
	return sum(s, true);
}

uint64_t spans_free(const struct spans *s)
{
	return sum(s, false);
}

static int by_place(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

unsigned spans_sorted(const struct spans *s, struct span *sorted)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MAX_SPANS; i++)
		if (s->list[i].at < s->list[i].end)
			sorted[count++] = s->list[i];
	qsort(sorted, count, sizeof(*sorted), by_place);
	return count;
}
