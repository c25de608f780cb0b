// SPDX-License-Identifier: MIT
/* Characters to edges over the bytes of their UTF-8. */
#include "grammar/draft.h"

#include "text/vocabulary.h"

void draft_literal(struct draft *d, const struct node *n, uint32_t from, uint32_t to)
{
	const struct code_range *ranges = d->syntax->ranges + n->first;

	for (uint32_t i = 0; i < n->last; i++) {
		char bytes[4];
		const size_t length = utf8_encode(ranges[i].low, bytes);

		for (size_t b = 0; b < length; b++) {
			const bool last = i + 1 == n->last && b + 1 == length;
			const uint32_t next = last ? to : draft_state(d);

			draft_bytes(d, from, next, (uint8_t)bytes[b], (uint8_t)bytes[b]);
			from = next;
		}
	}
}

static int by_low(const void *a, const void *b)
{
	const struct code_range *x = a, *y = b;

	return x->low < y->low ? -1 : x->low > y->low;
}

/* Sorts ranges and joins those that touch; returns how many are left. */
static size_t join(struct code_range *ranges, size_t count)
{
	size_t n = 0;

	qsort(ranges, count, sizeof(*ranges), by_low);
	for (size_t i = 0; i < count; i++) {
		if (n && ranges[i].low <= ranges[n - 1].high + 1)
			ranges[n - 1].high = MAX(ranges[n - 1].high, ranges[i].high);
		else
			ranges[n++] = ranges[i];
	}
	return n;
}

/* What joined ranges leave out, one more than they are at most. */
static size_t complement(struct code_range *out, const struct code_range *ranges, size_t count)
{
	uint32_t low = 0;
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (ranges[i].low > low)
			out[n++] = (struct code_range){ low, ranges[i].low - 1 };
		low = ranges[i].high + 1;
	}
	if (low <= 0x10ffff)
		out[n++] = (struct code_range){ low, 0x10ffff };
	return n;
}

/* One class between two states: what its characters have in common at their ends is shared. */
struct tails {
	struct draft *d;
	uint32_t to[4]; /* from where so many bytes of any continuation lead to the end */
	bool there[4];
};

static uint32_t tail(struct tails *t, size_t bytes)
{
	for (size_t i = 1; i <= bytes; i++) {
		if (t->there[i])
			continue;
		t->to[i] = draft_state(t->d);
		t->there[i] = true;
		draft_bytes(t->d, t->to[i], t->to[i - 1], 0x80, 0xbf);
	}
	return t->to[bytes];
}

static bool all_are(const uint8_t *bytes, size_t count, uint8_t value)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/* Characters of one length, of which @low and @high are the last @bytes of UTF-8. */
static void add_range(struct tails *t, uint32_t from, const uint8_t *low, const uint8_t *high,
		      size_t bytes)
{
	static const uint8_t least[3] = { 0x80, 0x80, 0x80 }, most[3] = { 0xbf, 0xbf, 0xbf };
	unsigned first = low[0], last = high[0];
	uint32_t next;

	if (bytes > 1 && first == last &&
	    !(all_are(low + 1, bytes - 1, 0x80) && all_are(high + 1, bytes - 1, 0xbf))) {
		next = draft_state(t->d);
		draft_bytes(t->d, from, next, low[0], low[0]);
		add_range(t, next, low + 1, high + 1, bytes - 1);
		return;
	}
	if (bytes > 1 && !all_are(low + 1, bytes - 1, 0x80)) {
		next = draft_state(t->d);
		draft_bytes(t->d, from, next, low[0], low[0]);
		add_range(t, next, low + 1, most, bytes - 1);
		first++;
	}
	if (bytes > 1 && !all_are(high + 1, bytes - 1, 0xbf)) {
		next = draft_state(t->d);
		draft_bytes(t->d, from, next, high[0], high[0]);
		add_range(t, next, least, high + 1, bytes - 1);
		last--;
	}
	if (first <= last)
		draft_bytes(t->d, from, tail(t, bytes - 1), (uint8_t)first, (uint8_t)last);
}

/* Ranges within which all characters have one length; surrogates are none. */
static const struct code_range lengths[] = {
	{ 0, 0x7f }, { 0x80, 0x7ff }, { 0x800, 0xd7ff }, { 0xe000, 0xffff }, { 0x10000, 0x10ffff },
};

int draft_class(struct draft *d, const struct node *n, uint32_t from, uint32_t to)
{
	AUTO_FREE struct code_range *sorted = calloc(2 * (size_t)n->last + 1, sizeof(*sorted));
	struct code_range *ranges = sorted;
	struct tails t = { .d = d, .to = { to }, .there = { true } };
	size_t count;

	if (!sorted)
		return -ENOMEM;
	if (n->last)
		memcpy(sorted, d->syntax->ranges + n->first, n->last * sizeof(*sorted));
	count = join(sorted, n->last);
	if (n->negated) {
		ranges = sorted + count;
		count = complement(ranges, sorted, count);
	}
	for (size_t i = 0; i < count; i++) {
		for (size_t l = 0; l < ARRAY_SIZE(lengths); l++) {
			const uint32_t low = MAX(ranges[i].low, lengths[l].low);
			const uint32_t high = MIN(ranges[i].high, lengths[l].high);
			char first[4] = { 0 }, last[4] = { 0 };
			size_t bytes;

			if (low > high)
				continue;
			utf8_encode(low, first);
			bytes = utf8_encode(high, last);
			add_range(&t, from, (const uint8_t *)first, (const uint8_t *)last, bytes);
		}
	}
	return 0;
}
