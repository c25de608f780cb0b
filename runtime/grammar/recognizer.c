// SPDX-License-Identifier: MIT
/* See recognizer.h: expressions to an automaton with edges that take nothing, and that to sets of
 * its states. */
#include "grammar/recognizer.h"

#include "grammar/span_set.h"
#include "text/vocabulary.h"

enum {
	MAX_STATES = 4000, /* of the first automaton */
	MAX_SETS = 1000,   /* of its states */
	MAX_INTERVALS = 400,
	TABLE = 4096, /* twice as many as there are sets, or more */
};

/* From one state to another with one of these characters, or with nothing. */
struct arc {
	uint32_t to;
	const struct span *spans;
	size_t count;
	struct arc *next;
};

struct state {
	struct arc *arcs;
	uint64_t *reached; /* without a character; NULL: not known yet */
};

/* A set of states, and where it leads with a character of each interval. */
struct subset {
	uint64_t *states;
	uint64_t matching;
	uint32_t *next;
	struct production *production;
};

struct recognizer {
	struct translation *t;
	struct state *states;
	uint32_t state_count, words, starts[RECOGNIZER_EXPRESSIONS], ends[RECOGNIZER_EXPRESSIONS];
	uint32_t expressions, interval_count, subset_count;
	uint32_t *intervals; /* where each begins; one more than there are */
	struct subset *subsets;
	uint32_t *table; /* subsets' numbers + 1, by their hashes */
	uint32_t *stack;
	bool too_large;
};

static uint32_t new_state(struct recognizer *r)
{
	if (r->state_count == MAX_STATES) {
		r->too_large = true;
		return 0;
	}
	r->states[r->state_count] = (struct state){ 0 };
	return r->state_count++;
}

static void add_arc(struct recognizer *r, uint32_t from, uint32_t to, const struct span *spans,
		    size_t count)
{
	struct arc *a = translation_alloc(r->t, sizeof(*a));

	*a = (struct arc){ to, spans, count, r->states[from].arcs };
	r->states[from].arcs = a;
}

static uint32_t add_expression(struct recognizer *r, const struct expression *e, uint32_t from);

static uint32_t add_characters(struct recognizer *r, const struct expression *e, uint32_t from)
{
	for (size_t i = 0; i < e->count && !r->too_large;) {
		struct span *one = translation_alloc(r->t, sizeof(*one));
		uint32_t to = new_state(r);

		i += MAX(utf8_decode(e->text + i, e->count - i, &one->low), (size_t)1);
		one->high = one->low;
		add_arc(r, from, to, one, 1);
		from = to;
	}
	return from;
}

static uint32_t add_repeat(struct recognizer *r, const struct expression *e, uint32_t from)
{
	const uint32_t end = new_state(r);
	uint32_t to;

	for (uint32_t i = 0; i < e->first && !r->too_large; i++)
		from = add_expression(r, e->of, from);
	if (e->last == WITHOUT_END) {
		to = new_state(r);
		add_arc(r, from, to, NULL, 0);
		from = add_expression(r, e->of, to);
		add_arc(r, from, to, NULL, 0);
		add_arc(r, to, end, NULL, 0);
		return end;
	}
	for (uint32_t i = e->first; i < e->last && !r->too_large; i++) {
		add_arc(r, from, end, NULL, 0);
		from = add_expression(r, e->of, from);
	}
	add_arc(r, from, end, NULL, 0);
	return end;
}

/* What it matches leads from @from to the state that is returned. */
static uint32_t add_expression(struct recognizer *r, const struct expression *e, uint32_t from)
{
	uint32_t to, start;

	if (r->too_large)
		return 0;
	switch (e->kind) {
	case EXPRESSION_TEXT:
		return add_characters(r, e, from);
	case EXPRESSION_CLASS:
		to = new_state(r);
		if (e->count)
			add_arc(r, from, to, e->spans, e->count);
		return to;
	case EXPRESSION_SEQUENCE:
		for (size_t i = 0; i < e->count; i++)
			from = add_expression(r, e->parts[i], from);
		return from;
	case EXPRESSION_CHOICE:
		to = new_state(r);
		for (size_t i = 0; i < e->count; i++) {
			/* a repetition may come back to where it began */
			start = new_state(r);
			add_arc(r, from, start, NULL, 0);
			add_arc(r, add_expression(r, e->parts[i], start), to, NULL, 0);
		}
		return to;
	case EXPRESSION_REPEAT:
		return add_repeat(r, e, from);
	case EXPRESSION_CALL:
		return add_expression(r, e->called->body, from);
	}
	return from;
}

struct recognizer *new_recognizer(struct translation *t)
{
	struct recognizer *r = translation_alloc(t, sizeof(*r));

	*r = (struct recognizer){ .t = t };
	r->states = translation_alloc(t, MAX_STATES * sizeof(*r->states));
	return r;
}

void recognizer_add(struct recognizer *r, const struct expression *e)
{
	uint32_t start;

	if (r->expressions == RECOGNIZER_EXPRESSIONS) {
		r->too_large = true;
		return;
	}
	start = new_state(r);
	r->starts[r->expressions] = start;
	r->ends[r->expressions++] = add_expression(r, e, start);
}

static int by_number(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Characters that no arc tells apart are one interval. */
static void find_intervals(struct recognizer *r)
{
	uint32_t *cuts, n = 0, room = 4;

	for (uint32_t i = 0; i < r->state_count; i++)
		for (const struct arc *a = r->states[i].arcs; a; a = a->next)
			room += 2 * (uint32_t)a->count;
	cuts = translation_alloc(r->t, room * sizeof(*cuts));
	cuts[n++] = 0;
	cuts[n++] = 0xd800;
	cuts[n++] = 0xe000;
	cuts[n++] = 0x110000;
	for (uint32_t i = 0; i < r->state_count; i++) {
		for (const struct arc *a = r->states[i].arcs; a; a = a->next) {
			for (size_t k = 0; k < a->count; k++) {
				cuts[n++] = a->spans[k].low;
				cuts[n++] = a->spans[k].high + 1;
			}
		}
	}
	qsort(cuts, n, sizeof(*cuts), by_number);
	for (uint32_t i = 0; i < n; i++)
		if (!i || cuts[i] != cuts[r->interval_count - 1])
			cuts[r->interval_count++] = cuts[i];
	r->intervals = cuts;
	r->interval_count--;
	r->too_large = r->too_large || r->interval_count > MAX_INTERVALS;
}

static uint32_t interval_of(const struct recognizer *r, uint32_t c)
{
	uint32_t low = 0, high = r->interval_count;

	while (high - low > 1) {
		const uint32_t middle = (low + high) / 2;

		if (r->intervals[middle] <= c)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static uint64_t *new_set(struct recognizer *r)
{
	uint64_t *set = translation_alloc(r->t, r->words * sizeof(*set));

	memset(set, 0, r->words * sizeof(*set));
	return set;
}

static bool has(const uint64_t *set, uint32_t state)
{
	return set[state / 64] >> state % 64 & 1;
}

/* All that is reached from a state without a character, itself too. */
static const uint64_t *reached(struct recognizer *r, uint32_t state)
{
	uint64_t *set = r->states[state].reached;
	uint32_t *stack = r->stack, depth = 0;

	if (set)
		return set;
	set = r->states[state].reached = new_set(r);
	stack[depth++] = state;
	set[state / 64] |= 1ull << state % 64;
	while (depth) {
		for (const struct arc *a = r->states[stack[--depth]].arcs, *next; a; a = next) {
			next = a->next;
			if (a->count || has(set, a->to))
				continue;
			set[a->to / 64] |= 1ull << a->to % 64;
			stack[depth++] = a->to;
		}
	}
	return set;
}

/* The number of the set, which is copied if it is new. */
static uint32_t subset_of(struct recognizer *r, const uint64_t *set)
{
	uint64_t hash = 0;
	uint32_t slot;
	struct subset *s;

	for (uint32_t i = 0; i < r->words; i++)
		hash = (hash ^ set[i]) * 0xff51afd7ed558ccdu + (hash >> 29);
	for (slot = (uint32_t)(hash >> 40) % TABLE; r->table[slot]; slot = (slot + 1) % TABLE)
		if (!memcmp(r->subsets[r->table[slot] - 1].states, set, r->words * sizeof(*set)))
			return r->table[slot] - 1;
	if (r->subset_count == MAX_SETS) {
		r->too_large = true;
		return 0;
	}
	s = &r->subsets[r->subset_count];
	*s = (struct subset){ .states = new_set(r) };
	memcpy(s->states, set, r->words * sizeof(*set));
	for (uint32_t i = 0; i < r->expressions; i++)
		if (has(set, r->ends[i]))
			s->matching |= 1ull << i;
	r->table[slot] = ++r->subset_count;
	return r->subset_count - 1;
}

/* Where the set leads with a character of the interval. */
static void follow(struct recognizer *r, const uint64_t *states, uint32_t interval, uint64_t *out)
{
	const uint32_t c = r->intervals[interval];
	uint64_t work = r->words;

	memset(out, 0, r->words * sizeof(*out));
	for (uint32_t w = 0; w < r->words; w++) {
		for (uint64_t left = states[w]; left; left &= left - 1) {
			const uint32_t state = 64 * w + (uint32_t)__builtin_ctzll(left);

			for (const struct arc *a = r->states[state].arcs; a; a = a->next) {
				work += 2 + a->count;
				for (size_t i = 0; i < a->count; i++) {
					if (a->spans[i].low > c || a->spans[i].high < c)
						continue;
					const uint64_t *more = reached(r, a->to);

					work += r->words;
					for (uint32_t k = 0; k < r->words; k++)
						out[k] |= more[k];
				}
			}
		}
	}
	translation_step(r->t, work / 8);
}

bool recognizer_finish(struct recognizer *r)
{
	struct translation *t = r->t;
	uint64_t *set;

	if (r->too_large)
		return false;
	r->words = (r->state_count + 63) / 64;
	find_intervals(r);
	if (r->too_large)
		return false;
	r->stack = translation_alloc(t, r->state_count * sizeof(*r->stack));
	r->subsets = translation_alloc(t, MAX_SETS * sizeof(*r->subsets));
	r->table = translation_alloc(t, TABLE * sizeof(*r->table));
	memset(r->table, 0, TABLE * sizeof(*r->table));
	set = new_set(r);
	for (uint32_t i = 0; i < r->expressions; i++) {
		const uint64_t *first = reached(r, r->starts[i]);

		for (uint32_t k = 0; k < r->words; k++)
			set[k] |= first[k];
	}
	subset_of(r, set);
	for (uint32_t n = 0; n < r->subset_count && !r->too_large; n++) {
		struct subset *s = &r->subsets[n];

		s->next = translation_alloc(t, r->interval_count * sizeof(*s->next));
		for (uint32_t i = 0; i < r->interval_count; i++) {
			follow(r, s->states, i, set);
			s->next[i] = subset_of(r, set);
		}
		translation_step(t, r->interval_count);
	}
	return !r->too_large;
}

bool recognizer_finds(const struct recognizer *r, uint64_t matching)
{
	for (uint32_t i = 0; i < r->subset_count; i++)
		if (r->subsets[i].matching == matching)
			return true;
	return false;
}

uint64_t recognizer_match(const struct recognizer *r, const char *text, size_t bytes)
{
	uint32_t n = 0;

	for (size_t i = 0; i < bytes;) {
		uint32_t c = 0;

		i += MAX(utf8_decode(text + i, bytes - i, &c), (size_t)1);
		n = r->subsets[n].next[interval_of(r, c)];
	}
	return r->subsets[n].matching;
}

/* The characters that lead from one set to another, and that one. */
static void add_ways(struct recognizer *r, const struct subset *s, struct parts *choice)
{
	for (uint32_t i = 0; i < r->interval_count; i++) {
		struct span_set set = { 0 };
		struct parts one = { 0 };
		bool before = false;

		for (uint32_t k = 0; k < i && !before; k++)
			before = s->next[k] == s->next[i] && r->intervals[k] != 0xd800;
		if (before || r->intervals[i] == 0xd800)
			continue;
		for (uint32_t k = i; k < r->interval_count; k++)
			if (s->next[k] == s->next[i] && r->intervals[k] != 0xd800)
				span_set_add(r->t, &set, r->intervals[k], r->intervals[k + 1] - 1);
		span_set_tidy(&set);
		add_part(r->t, &one, json_character(r->t, &set));
		add_part(r->t, &one, expression_call(r->t, r->subsets[s->next[i]].production));
		add_part(r->t, choice, expression_sequence(r->t, &one));
	}
	translation_step(r->t, r->interval_count * (1 + r->interval_count / 64));
}

const struct expression *
recognizer_texts(struct recognizer *r,
		 const struct expression *(*end)(void *user, uint64_t matching), void *user)
{
	for (uint32_t i = 0; i < r->subset_count; i++)
		r->subsets[i].production = new_production(r->t, "text");
	for (uint32_t i = 0; i < r->subset_count; i++) {
		struct parts choice = { 0 };
		const struct expression *behind = end(user, r->subsets[i].matching);

		add_ways(r, &r->subsets[i], &choice);
		if (behind)
			add_part(r->t, &choice, behind);
		r->subsets[i].production->body = expression_choice(r->t, &choice);
	}
	return expression_call(r->t, r->subsets[0].production);
}
