// SPDX-License-Identifier: MIT
/* See trie.h: texts are sorted once, then each level is one pass over them. */
#include "text/trie.h"

#include <stdatomic.h>

static const uint32_t plain_lengths[TRIE_LEVELS] = { 0, 4, 10, LONGEST_PLAIN, UINT32_MAX };

uint32_t tries_plain(unsigned level)
{
	return plain_lengths[level];
}

/* A text to be sorted, its first eight bytes as a number. */
struct entry {
	uint64_t head;
	uint32_t at, length; /* in the pool */
	uint32_t token;
	uint32_t plain; /* characters, if it is */
};

struct sorting {
	const char *pool;
	struct entry *entries;
	size_t count;
};

size_t token_bytes(const struct stoker_vocabulary *v, uint32_t token, char *out)
{
	const size_t length =
		v->tokens[token].end ? 0 : stoker_vocabulary_text(v, token, 0, out, MAX_TRIE_TEXT);

	return length <= MAX_TRIE_TEXT ? length : 0;
}

/* How many characters a plain text has; 0: it isn't. */
static uint32_t plain_characters(const char *text, size_t bytes)
{
	uint32_t n = 0;

	for (size_t at = 0; at < bytes; n++) {
		uint32_t c;
		const size_t length = utf8_decode(text + at, bytes - at, &c);

		if (!length || c < 0x20 || c == 0x7f || c == '"' || c == '\\')
			return 0;
		at += length;
	}
	return n;
}

static uint64_t head_of(const char *text, size_t length)
{
	uint64_t head = 0;

	for (size_t i = 0; i < 8; i++)
		head = head << 8 | (i < length ? (uint8_t)text[i] : 0);
	return head;
}

static int compare(const void *a, const void *b, void *pool)
{
	const struct entry *x = a, *y = b;
	const char *texts = pool;
	int order;

	if (x->head != y->head)
		return x->head < y->head ? -1 : 1;
	order = memcmp(texts + x->at, texts + y->at, MIN(x->length, y->length));
	if (order)
		return order;
	if (x->length != y->length)
		return x->length < y->length ? -1 : 1;
	return x->token < y->token ? -1 : 1;
}

static int collect(struct sorting *s, char **pool, const struct stoker_vocabulary *v)
{
	char text[MAX_TRIE_TEXT];
	size_t used = 0, room = 0;

	s->entries = calloc(v->count, sizeof(*s->entries));
	if (!s->entries)
		return -ENOMEM;
	for (uint32_t t = 0; t < v->count; t++) {
		const size_t length = token_bytes(v, t, text);

		if (!length)
			continue;
		if (used + length > room) {
			char *more = realloc(*pool, 2 * room + (1 << 16));

			if (!more)
				return -ENOMEM;
			*pool = more;
			room = 2 * room + (1 << 16);
		}
		memcpy(*pool + used, text, length);
		s->entries[s->count++] = (struct entry){ .head = head_of(text, length),
							 .at = (uint32_t)used,
							 .length = (uint32_t)length,
							 .token = t,
							 .plain = plain_characters(text, length) };
		used += length;
		if (used > UINT32_MAX - MAX_TRIE_TEXT)
			return -ENOMEM;
	}
	s->pool = *pool;
	return 0;
}

static bool is_left_out(const struct entry *e, unsigned level)
{
	return level && e->plain && e->plain <= plain_lengths[level];
}

static uint32_t common_bytes(const struct sorting *s, const struct entry *a, const struct entry *b)
{
	uint32_t n = 0;

	while (n < a->length && n < b->length && s->pool[a->at + n] == s->pool[b->at + n])
		n++;
	return n;
}

/* Nodes for the sorted entries; without a place for them they are counted only. */
static uint32_t make_nodes(const struct sorting *s, unsigned level, struct trie *t)
{
	uint32_t open[MAX_TRIE_TEXT + 1] = { 0 }, depth = 0, count = 1, token = 0;
	const struct entry *last = NULL;

	if (t->nodes)
		t->nodes[0] = (struct trie_node){ 0 };
	for (size_t i = 0; i < s->count; i++) {
		const struct entry *e = &s->entries[i];
		const uint32_t shared = last ? common_bytes(s, last, e) : 0;

		if (is_left_out(e, level))
			continue;
		for (; depth > shared; depth--)
			if (t->nodes)
				t->nodes[open[depth]].skip = count;
		while (depth < e->length) {
			const uint8_t byte = (uint8_t)s->pool[e->at + depth++];

			if (t->nodes)
				t->nodes[count] = (struct trie_node){ .byte = byte,
								      .depth = (uint16_t)depth,
								      .tokens = token };
			open[depth] = count++;
		}
		if (t->nodes)
			t->order[token] = e->token;
		token++;
		last = e;
	}
	for (uint32_t d = 0; t->nodes && d <= depth; d++)
		t->nodes[open[d]].skip = count;
	t->token_count = token;
	return count;
}

static int make_level(struct tries *tries, const struct sorting *s, unsigned level)
{
	struct trie *t = &tries->levels[level];

	t->node_count = make_nodes(s, level, t);
	t->nodes = calloc(t->node_count + 1, sizeof(*t->nodes));
	t->order = calloc(t->token_count + 1, sizeof(*t->order));
	tries->plain[level] = calloc(tries->words + 1, sizeof(uint32_t));
	if (!t->nodes || !t->order || !tries->plain[level])
		return -ENOMEM;
	make_nodes(s, level, t);
	t->nodes[t->node_count].tokens = t->token_count;
	for (size_t i = 0; i < s->count; i++)
		if (is_left_out(&s->entries[i], level))
			tries->plain[level][s->entries[i].token / 32] |=
				1u << s->entries[i].token % 32;
	return 0;
}

static struct tries *tries_create(const struct stoker_vocabulary *v)
{
	struct tries *t = calloc(1, sizeof(*t));
	struct sorting s = { 0 };
	char *pool = NULL;
	int ret = t ? collect(&s, &pool, v) : -ENOMEM;

	if (!ret)
		qsort_r(s.entries, s.count, sizeof(*s.entries), compare, pool);
	if (t)
		t->words = (v->count + 31) / 32;
	for (unsigned l = 0; l < TRIE_LEVELS && !ret; l++)
		ret = make_level(t, &s, l);
	free(s.entries);
	free(pool);
	if (!ret)
		return t;
	tries_free(t);
	return NULL;
}

void tries_free(struct tries *t)
{
	for (unsigned l = 0; t && l < TRIE_LEVELS; l++) {
		free(t->levels[l].nodes);
		free(t->levels[l].order);
		free(t->plain[l]);
	}
	free(t);
}

const struct tries *vocabulary_tries(const struct stoker_vocabulary *v)
{
	/* what is made of it later is no part of what is constant about it */
	struct stoker_vocabulary *owner = (struct stoker_vocabulary *)v;
	struct tries *made, *there = atomic_load(&owner->tries);

	if (there)
		return there;
	made = tries_create(v);
	if (!made || atomic_compare_exchange_strong(&owner->tries, &there, made))
		return made;
	tries_free(made);
	return there;
}
