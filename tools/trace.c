// SPDX-License-Identifier: MIT
/* Routing traces: see trace.h. */
#include "trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

enum { NEVER = 0x7fffffff, HALF_LIFE = 16 };

bool trace_add(struct trace *t, uint32_t layer, uint32_t expert)
{
	if (t->count == t->room) {
		const size_t room = t->room ? 2 * t->room : 4096;
		uint32_t *access = realloc(t->access, room * sizeof(*access));
		uint32_t *token;

		if (!access)
			return false;
		t->access = access;
		token = realloc(t->token, room * sizeof(*token));
		if (!token)
			return false;
		t->token = token;
		t->room = room;
	}
	t->token[t->count] = (uint32_t)t->tokens - 1;
	t->access[t->count++] = layer * t->experts + expert;
	return true;
}

/*
 * What follows the @used experts of a line from @first on: "| expert..." as its router saw it one,
 * two, three layers before.  Returns the line's unread rest.
 */
static char *read_guesses(struct trace *t, size_t first, char *at)
{
	for (int d = 1; d <= PREDICTED_LAYERS && !strncmp(at, " |", 2); d++) {
		char *end;

		at += 2;
		t->asked[d] += t->count - first;
		for (;;) {
			const unsigned long expert = strtoul(at, &end, 10);

			if (end == at)
				break;
			for (size_t i = first; i < t->count; i++)
				t->right[d] += t->access[i] % t->experts == expert;
			at = end;
		}
	}
	return at;
}

/* Lines "position layer expert...", after one that says what they are about. */
int trace_read(const char *path, struct trace *t)
{
	FILE *f = fopen(path, "re");
	char line[65536];
	unsigned long last = 0, number = 1;

	if (!f)
		return failf("%s: %s", path, strerror(errno));
	unsigned long long bytes = 0;

	if (!fgets(line, sizeof(line), f) ||
	    sscanf(line, "stoker-trace 2 layers %u experts %u used %u bytes %llu", &t->layers,
		   &t->experts, &t->used, &bytes) != 4 ||
	    !t->layers || !t->experts || !t->used || t->layers > 1024 || t->experts > 4096 ||
	    t->used > t->experts) {
		fclose(f);
		return failf("%s: not a trace of stoker run --trace", path);
	}
	t->expert_bytes = bytes;
	while (fgets(line, sizeof(line), f)) {
		char *at = line, *end;
		const unsigned long position = strtoul(at, &end, 10);
		const unsigned long layer = strtoul(end, &at, 10);
		const size_t first = t->count;

		number++;
		if (at == end || layer >= t->layers)
			break;
		if (!t->tokens || position != last)
			t->tokens++;
		last = position;
		for (;;) {
			const unsigned long expert = strtoul(at, &end, 10);

			if (end == at)
				break;
			if (expert >= t->experts ||
			    !trace_add(t, (uint32_t)layer, (uint32_t)expert)) {
				fclose(f);
				return failf("%s: line %lu: expert %lu of %u", path, number, expert,
					     t->experts);
			}
			at = end;
		}
		if (strcmp(read_guesses(t, first, at), "\n"))
			break;
	}
	if (!feof(f)) {
		fclose(f);
		return failf("%s: line %lu isn't \"position layer expert...\"", path, number);
	}
	fclose(f);
	return t->count ? EXIT_OK : failf("%s: no accesses", path);
}

void trace_free(struct trace *t)
{
	free(t->access);
	free(t->token);
}

/* When each access is repeated: the index of the next one of the same expert. */
static void find_next(const struct trace *t, uint32_t *next, uint32_t *seen)
{
	for (uint32_t i = 0; i < t->layers * t->experts; i++)
		seen[i] = NEVER;
	for (size_t i = t->count; i-- > 0;) {
		next[i] = seen[t->access[i]];
		seen[t->access[i]] = (uint32_t)i;
	}
}

/* What a policy goes by: the smallest gives way. */
static double new_key(const struct trace *t, enum trace_policy policy, size_t i, uint32_t next,
		      double key)
{
	/* instead of halving all counts, later uses weigh more */
	const double weight = (double)t->token[i] / HALF_LIFE;

	if (policy == TRACE_LRU)
		return (double)i;
	if (policy == TRACE_BELADY)
		return -(double)next;
	if (key == 0 || key < weight - 40)
		return weight;
	return key + __builtin_log2(1 + __builtin_exp2(weight - key)); /* log2(2^key + 2^weight) */
}

long trace_simulate(const struct trace *t, enum trace_policy policy, uint32_t slots, bool *hit)
{
	const uint32_t all = t->layers * t->experts;
	uint32_t *next = malloc(t->count * sizeof(*next)), *held = calloc(all, sizeof(*held));
	/* place[e] is 1 + where e is in held[], 0: it isn't */
	uint32_t *place = calloc(all, sizeof(*place)), count = 0;
	double *key = calloc(all, sizeof(*key));
	long hits = 0;

	if (!next || !held || !place || !key) {
		hits = -1;
		goto out;
	}
	find_next(t, next, place);
	memset(place, 0, all * sizeof(*place));
	for (size_t i = 0; i < t->count; i++) {
		const uint32_t e = t->access[i];

		if (hit)
			hit[i] = place[e] != 0;
		if (place[e]) {
			hits++;
		} else if (!slots) {
			continue;
		} else if (count < slots) {
			held[count++] = e;
			place[e] = count;
		} else {
			uint32_t worst = 0;

			for (uint32_t k = 1; k < count; k++)
				if (key[held[k]] < key[held[worst]])
					worst = k;
			place[held[worst]] = 0;
			held[worst] = e;
			place[e] = worst + 1;
		}
		key[e] = new_key(t, policy, i, next[i], key[e]);
	}
out:
	free(next);
	free(held);
	free(place);
	free(key);
	return hits;
}
