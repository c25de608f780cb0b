// SPDX-License-Identifier: MIT
/* Joining neighbouring pieces by rank, with a heap: O(n log n) also for a hostile single word. */
#include "text/vocabulary.h"

struct piece {
	uint32_t at, length;	 /* length 0: joined to its left neighbour */
	uint32_t previous, next; /* NO_TOKEN: none */
};

struct pair {
	float rank;
	uint32_t left, right;
	uint32_t bytes; /* of both when the pair was found; another sum means that it is gone */
};

struct heap {
	struct pair *pairs;
	size_t count, room;
};

static bool before(const struct pair *a, const struct pair *b)
{
	return a->rank < b->rank || (a->rank == b->rank && a->left < b->left);
}

static bool push(struct heap *h, struct pair p)
{
	size_t i = h->count;

	if (h->count == h->room) {
		const size_t room = 2 * h->room + 64;
		struct pair *more = realloc(h->pairs, room * sizeof(*more));

		if (!more)
			return false;
		h->pairs = more;
		h->room = room;
	}
	h->count++;
	for (; i && before(&p, &h->pairs[(i - 1) / 2]); i = (i - 1) / 2)
		h->pairs[i] = h->pairs[(i - 1) / 2];
	h->pairs[i] = p;
	return true;
}

static struct pair pop(struct heap *h)
{
	const struct pair top = h->pairs[0], last = h->pairs[--h->count];
	size_t i = 0;

	for (size_t child; (child = 2 * i + 1) < h->count; i = child) {
		if (child + 1 < h->count && before(&h->pairs[child + 1], &h->pairs[child]))
			child++;
		if (!before(&h->pairs[child], &last))
			break;
		h->pairs[i] = h->pairs[child];
	}
	if (h->count)
		h->pairs[i] = last;
	return top;
}

struct merging {
	const struct stoker_vocabulary *v;
	const char *text;
	struct piece *pieces;
	struct heap heap;
	pair_rank_fn *rank;
};

static bool consider(struct merging *m, uint32_t left, uint32_t right)
{
	struct pair p = { .left = left, .right = right };

	if (left == NO_TOKEN || right == NO_TOKEN)
		return true;
	const struct piece *a = &m->pieces[left], *b = &m->pieces[right];

	if (!m->rank(m->v, m->text + a->at, a->length, b->length, &p.rank))
		return true;
	p.bytes = a->length + b->length;
	return push(&m->heap, p);
}

static bool join(struct merging *m, const struct pair *p)
{
	struct piece *a = &m->pieces[p->left], *b = &m->pieces[p->right];

	if (!a->length || !b->length || a->length + b->length != p->bytes || a->next != p->right)
		return true;
	a->length += b->length;
	b->length = 0;
	a->next = b->next;
	if (b->next != NO_TOKEN)
		m->pieces[b->next].previous = p->left;
	return consider(m, a->previous, p->left) && consider(m, p->left, a->next);
}

int merge_pieces(const struct stoker_vocabulary *v, const char *text, uint32_t *lengths,
		 size_t *count, pair_rank_fn *rank, struct stoker_error *err)
{
	struct merging m = { .v = v, .text = text, .rank = rank };
	const size_t n = *count;
	bool ok = n > 0;
	uint32_t at = 0;

	m.pieces = calloc(n + 1, sizeof(*m.pieces));
	if (!m.pieces)
		return stoker_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; at += lengths[i++])
		m.pieces[i] = (struct piece){ .at = at,
					      .length = lengths[i],
					      .previous = i ? (uint32_t)i - 1 : NO_TOKEN,
					      .next = i + 1 < n ? (uint32_t)i + 1 : NO_TOKEN };
	for (uint32_t i = 0; ok && i + 1 < n; i++)
		ok = consider(&m, i, i + 1);
	while (ok && m.heap.count) {
		const struct pair p = pop(&m.heap);

		ok = join(&m, &p);
	}
	*count = 0;
	for (size_t i = 0; ok && i < n; i++)
		if (m.pieces[i].length)
			lengths[(*count)++] = m.pieces[i].length;
	free(m.pieces);
	free(m.heap.pairs);
	return ok || n == 0 ? 0 : stoker_fail(err, -ENOMEM, "out of memory");
}
