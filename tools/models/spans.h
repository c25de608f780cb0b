/* SPDX-License-Identifier: MIT */
/* What of a file is missing: stretches of bytes, some of which are being fetched. */
#ifndef STOKER_TOOL_SPANS_H
#define STOKER_TOOL_SPANS_H

#include <stdbool.h>
#include <stdint.h>

/* MAX_SAVED is how many a record on the drive may have: each that is taken may leave one more. */
enum { MAX_SPANS = 96, MAX_SAVED = 48 };

/* Bytes @at to @end are missing; one with none isn't in use unless it is @taken. */
struct span {
	uint64_t at, end;
	bool taken;
};

struct spans {
	struct span list[MAX_SPANS]; /* in no order, and each stays where it is */
};

/* Where a file ends whose size nobody has told. */
#define NO_END UINT64_MAX

/* All from @at on is missing, no more. */
struct span *spans_reset(struct spans *s, uint64_t at, uint64_t end);
bool spans_add(struct spans *s, uint64_t at, uint64_t end);
/* The file turns out to end there. */
void spans_cut(struct spans *s, uint64_t end);
/* The first that nobody has, or its first @most bytes; NULL: there is none. */
struct span *spans_take(struct spans *s, uint64_t most);
/* How much of the front of a file of @bytes is there. */
uint64_t spans_front(const struct spans *s, uint64_t bytes);
/* Bytes that are missing; those that nobody has taken. */
uint64_t spans_missing(const struct spans *s);
uint64_t spans_free(const struct spans *s);
/* Copies those that miss something to @sorted, of MAX_SPANS; returns how many. */
unsigned spans_sorted(const struct spans *s, struct span *sorted);

#endif
