// SPDX-License-Identifier: MIT
/* How long the runs of a pool take, by their kind: whether a short one is worth sharing. */
#include "base/run_times.h"

enum {
	SHORT_NS = 30000,
	SAMPLE = 8,
	PERIOD_NS = 50000000,
	TRYING_NS = 500000, /* of each period */
	HASH_BITS = 8,
};

struct run_kind *run_times_find(struct run_times *times, size_t work, size_t count)
{
	/* to an eighth: that of attention grows with each token */
	const int bits = work < 16 ? 0 : 60 - __builtin_clzll(work);
	struct run_kind *kind;
	uint64_t hash;

	_Static_assert(ARRAY_SIZE(times->kinds) == 1u << HASH_BITS, "one for each hash");
	work = work >> bits << bits;
	hash = (work * 31 + count) * 0x9e3779b97f4a7c15u;
	kind = &times->kinds[hash >> (64 - HASH_BITS)];
	if (kind->work != work || kind->count != count)
		*kind = (struct run_kind){ .work = work, .count = count };
	return kind;
}

bool run_is_sampled(struct run_kind *kind, bool alone, unsigned *weight)
{
	const uint64_t known = kind->ns[!alone];

	*weight = known && (alone || known < SHORT_NS) ? SAMPLE : 1;
	return kind->runs++ % *weight == 0;
}

bool run_is_better_alone(const struct run_kind *kind, uint64_t now)
{
	if (!kind->ns[true] || kind->ns[true] > SHORT_NS)
		return false;
	/* all of them at a time, as a run finds in the caches what the one before has left */
	if (now % PERIOD_NS < TRYING_NS)
		return now / PERIOD_NS % 2;
	return kind->ns[false] && kind->ns[false] < kind->ns[true];
}

void run_learn(struct run_kind *kind, bool shared, uint64_t took)
{
	uint64_t *ns = &kind->ns[shared];

	*ns = *ns ? (7 * *ns + MIN(took, 2 * *ns)) / 8 : took;
}
