/* SPDX-License-Identifier: MIT */
/* Memory of a job that is released all at once; it has a limit, as what asks may be hostile. */
#ifndef STOKER_BASE_ARENA_H
#define STOKER_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena {
	struct arena_chunk *chunks;
	char *at, *end; /* free memory of the newest chunk */
	size_t used, limit;
};

/* @bytes, aligned to 16, or NULL: what is asked for is beyond the limit, or there is no memory. */
void *arena_alloc(struct arena *a, size_t bytes);
/* Which of both it would be. */
bool arena_is_full(const struct arena *a, size_t bytes);
void arena_free(struct arena *a);

#endif
