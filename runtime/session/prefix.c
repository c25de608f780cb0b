// SPDX-License-Identifier: MIT
/* The prefix cache, see prefix.h. */
#include "session/prefix.h"

#include <pthread.h>
#include <sys/random.h>

#include "session/step.h"

enum { FEWEST_BUCKETS = 64 };

struct prefix_entry {
	uint64_t hash, salt;
	struct prefix_entry *parent; /* of the page before, NULL: it is the first */
	struct prefix_entry *next;   /* in its bucket */
	struct prefix_entry *older, *newer;
	uint32_t children;	       /* entries that go on from this one */
	uint32_t pages[PAGE_KINDS];    /* or NO_PAGE */
	struct checkpoint *checkpoint; /* at its end, of recurrent layers; or NULL */
	uint32_t tokens[KV_PAGE_ROWS];
};

static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

static uint64_t hash_of(const struct prefix_cache *c, const struct prefix_entry *parent,
			const uint32_t *tokens, uint64_t salt)
{
	uint64_t h = mix((parent ? parent->hash : c->seed) ^ mix(salt + c->seed));

	for (uint32_t i = 0; i < KV_PAGE_ROWS; i++)
		h = mix(h + tokens[i] + 1);
	return h;
}

static struct prefix_entry *find(const struct prefix_cache *c, const struct prefix_entry *parent,
				 const uint32_t *tokens, uint64_t salt)
{
	const uint64_t hash = hash_of(c, parent, tokens, salt);
	struct prefix_entry *e = c->count ? c->buckets[hash % c->bucket_count] : NULL;

	while (e && (e->hash != hash || e->parent != parent || e->salt != salt ||
		     memcmp(e->tokens, tokens, sizeof(e->tokens)) != 0))
		e = e->next;
	return e;
}

static void unlink_use(struct prefix_cache *c, struct prefix_entry *e)
{
	*(e->older ? &e->older->newer : &c->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &c->newest) = e->older;
}

static void link_use(struct prefix_cache *c, struct prefix_entry *e)
{
	e->older = c->newest;
	e->newer = NULL;
	*(e->older ? &e->older->newer : &c->oldest) = e;
	c->newest = e;
}

/* A context is used: its last entry first, which is the first that may go. */
static void touch(struct prefix_cache *c, struct prefix_entry *e)
{
	for (; e; e = e->parent) {
		unlink_use(c, e);
		link_use(c, e);
	}
}

static int grow_buckets(struct prefix_cache *c, struct stoker_error *err)
{
	const size_t count = c->bucket_count ? 2 * c->bucket_count : FEWEST_BUCKETS;
	struct prefix_entry **buckets = calloc(count, sizeof(struct prefix_entry *));

	if (!buckets)
		return stoker_fail(err, -ENOMEM, "out of memory");
	/* where it fails, nothing is known that is worth guessing */
	if (!c->bucket_count &&
	    getrandom(&c->seed, sizeof(c->seed), GRND_NONBLOCK) != sizeof(c->seed))
		c->seed = (uintptr_t)buckets;
	for (size_t i = 0; i < c->bucket_count; i++)
		for (struct prefix_entry *e = c->buckets[i], *next; e; e = next) {
			next = e->next;
			e->next = buckets[e->hash % count];
			buckets[e->hash % count] = e;
		}
	free(c->buckets);
	c->buckets = buckets;
	c->bucket_count = count;
	return 0;
}

static struct prefix_entry *add(struct prefix_cache *c, struct prefix_entry *parent,
				const uint32_t *tokens, uint64_t salt, struct stoker_error *err)
{
	struct prefix_entry *e;

	if (c->count >= c->bucket_count && grow_buckets(c, err))
		return NULL;
	e = malloc(sizeof(*e));
	if (!e) {
		stoker_fail(err, -ENOMEM, "out of memory");
		return NULL;
	}
	*e = (struct prefix_entry){ .hash = hash_of(c, parent, tokens, salt),
				    .salt = salt,
				    .parent = parent };
	for (int kind = 0; kind < PAGE_KINDS; kind++)
		e->pages[kind] = NO_PAGE;
	memcpy(e->tokens, tokens, sizeof(e->tokens));
	e->next = c->buckets[e->hash % c->bucket_count];
	c->buckets[e->hash % c->bucket_count] = e;
	link_use(c, e);
	c->count++;
	if (parent)
		parent->children++;
	return e;
}

static void give_back(struct prefix_entry *e, struct pages *p, enum page_kind kind)
{
	pool_let_go(&p->pools[kind], e->pages[kind]);
	e->pages[kind] = NO_PAGE;
}

static void forget_checkpoint(struct prefix_entry *e)
{
	if (e->checkpoint)
		checkpoint_put(e->checkpoint);
	e->checkpoint = NULL;
}

static void discard(struct prefix_cache *c, struct pages *p, struct prefix_entry *e)
{
	struct prefix_entry **at = &c->buckets[e->hash % c->bucket_count];

	assert(!e->children);
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	unlink_use(c, e);
	c->count--;
	if (e->parent)
		e->parent->children--;
	for (int kind = 0; kind < PAGE_KINDS; kind++)
		give_back(e, p, kind);
	forget_checkpoint(e);
	free(e);
}

void prefix_destroy(struct prefix_cache *c, struct pages *p)
{
	for (struct prefix_entry *e = c->oldest, *newer; e; e = newer) {
		newer = e->newer;
		for (int kind = 0; kind < PAGE_KINDS; kind++)
			give_back(e, p, kind);
		forget_checkpoint(e);
		free(e);
	}
	free(c->buckets);
	*c = (struct prefix_cache){ 0 };
}

static bool used_elsewhere(const struct prefix_entry *e, const struct pages *p, enum page_kind kind)
{
	return e->pages[kind] != NO_PAGE && pool_page(&p->pools[kind], e->pages[kind])->users > 1;
}

/* Entries that one alone goes on from are missed less the further they are from the end. */
static struct prefix_entry *only_parent(const struct prefix_entry *e)
{
	return e->parent && e->parent->children == 1 ? e->parent : NULL;
}

static struct prefix_entry *first_with_window(struct prefix_entry *e, const struct pages *p)
{
	struct prefix_entry *parent;

	while ((parent = only_parent(e)) && parent->pages[PAGES_WINDOW] != NO_PAGE &&
	       !used_elsewhere(parent, p, PAGES_WINDOW))
		e = parent;
	return e;
}

/*
 * The oldest entry that may go and whose page then is unused; or else one whose page is about to be
 * written to by its only other user, who then needs no other page; or any that may go.
 */
static struct prefix_entry *choose(const struct prefix_cache *c, const struct pages *p, bool window)
{
	const enum page_kind kind = window ? PAGES_WINDOW : PAGES_FULL;
	struct prefix_entry *second = NULL;
	bool to_be_written = false; /* what @second has */

	for (struct prefix_entry *e = c->oldest; e; e = e->newer) {
		if (window ? e->pages[PAGES_WINDOW] == NO_PAGE : e->children > 0)
			continue;
		if (used_elsewhere(e, p, kind)) {
			const bool written = pool_page(&p->pools[kind], e->pages[kind])->writers;

			if (!second || (written && !to_be_written))
				second = e;
			to_be_written |= written;
			continue;
		}
		return window ? first_with_window(e, p) : e;
	}
	return second;
}

bool prefix_drop(struct prefix_cache *c, struct pages *p, bool window)
{
	struct prefix_entry *e = choose(c, p, window);

	if (e && window)
		give_back(e, p, PAGES_WINDOW);
	else if (e)
		discard(c, p, e);
	return e != NULL;
}

bool prefix_drop_checkpoint(struct prefix_cache *c)
{
	struct prefix_entry *chosen = c->oldest;

	while (chosen && (!chosen->checkpoint || chosen->checkpoint->users > 1))
		chosen = chosen->newer;
	if (!chosen)
		return false;
	/* the next turn may leave out what an answer has, but hardly what was asked */
	for (struct prefix_entry *e = chosen; e && !chosen->checkpoint->passing; e = only_parent(e))
		if (e->checkpoint && e->checkpoint->users == 1)
			chosen = e;
	forget_checkpoint(chosen);
	return true;
}

/* What is known of a text. */
struct match {
	struct prefix_entry *last; /* of the longest context that can go on */
	uint32_t pages;
	uint32_t alike; /* pages of the same tokens, whether or not anybody can go on there */
};

static struct match match(const struct step *s, const uint32_t *tokens, size_t count, uint64_t salt)
{
	const struct cache_size *size = &s->pages.size;
	const uint32_t pages = (uint32_t)(MIN(count, (size_t)s->context) / KV_PAGE_ROWS);
	/* as many in turn have pages of the ring */
	uint32_t ringed = 0;
	struct prefix_entry *e = NULL;
	struct match m = { .pages = 0 };

	for (uint32_t i = 0; i < pages; i++) {
		const uint32_t end = (i + 1) * KV_PAGE_ROWS;
		const uint32_t seen = end + 1 > size->window ? end + 1 - size->window : 0;

		e = find(&s->prefix, e, tokens + (size_t)i * KV_PAGE_ROWS, salt);
		if (!e || end >= count)
			break;
		m.alike = i + 1;
		ringed = e->pages[PAGES_WINDOW] == NO_PAGE ? 0 : ringed + 1;
		if (s->chunk && end % s->chunk)
			continue;
		if (s->recurrent && !e->checkpoint)
			continue;
		if (!size->ring || ringed >= i + 1 - seen / KV_PAGE_ROWS)
			m = (struct match){ .last = e, .pages = i + 1, .alike = i + 1 };
	}
	return m;
}

uint32_t prefix_match(const struct step *s, const uint32_t *tokens, size_t count, uint64_t salt)
{
	return match(s, tokens, count, salt).pages * KV_PAGE_ROWS;
}

uint32_t prefix_alike(const struct step *s, const uint32_t *tokens, size_t count, uint64_t salt)
{
	return match(s, tokens, count, salt).alike * KV_PAGE_ROWS;
}

/* Page @i of a context is @e's. */
static void share(struct step *s, struct sequence *q, const struct prefix_entry *e, uint32_t i)
{
	for (int kind = 0; kind < PAGE_KINDS; kind++) {
		const struct page_table *t = &q->tables.of[kind];

		if (e->pages[kind] != NO_PAGE && i + t->turn > q->last_page)
			pages_use(&s->pages, &q->tables, kind, i % t->turn, e->pages[kind]);
	}
	memcpy(q->tokens + (size_t)i * KV_PAGE_ROWS, e->tokens, sizeof(e->tokens));
}

int prefix_take(struct step *s, struct sequence *q, const uint32_t *tokens, size_t count,
		uint64_t salt, struct stoker_error *err)
{
	struct match m = { .pages = 0 };
	const struct prefix_entry *e;
	int ret;

	if (!embedding_needs_all(s->pooling))
		m = match(s, tokens, count, salt);
	e = m.last;
	assert(q->position == 0 && !q->whole);
	ret = sequence_truncate(s, q, 0, err); /* there may be pages of a step that failed */
	if (ret || !e)
		return ret;
	q->position = q->same_bits = m.pages * KV_PAGE_ROWS;
	q->last_page = m.pages - 1;
	for (uint32_t i = m.pages; i > 0; i--, e = e->parent)
		share(s, q, e, i - 1);
	if (m.last->checkpoint)
		checkpoint_apply(m.last->checkpoint, q);
	touch(&s->prefix, m.last);
	return 0;
}

/* @e is a user of what the sequence has of its page @i and at its end, too. */
static void keep_page(struct step *s, const struct sequence *q, uint32_t i, struct prefix_entry *e)
{
	for (int kind = 0; kind < PAGE_KINDS; kind++) {
		const struct page_table *t = &q->tables.of[kind];
		/* the last page that a ring has been at says nothing of pages that all stay */
		const bool there = t->turn == t->count || i + t->turn > q->last_page;
		const uint32_t number = t->turn && there ? t->pages[i % t->turn] : NO_PAGE;

		if (number == NO_PAGE || e->pages[kind] != NO_PAGE)
			continue;
		pool_keep(&s->pages.pools[kind], number);
		e->pages[kind] = number;
	}
	if (!e->checkpoint) {
		struct checkpoint *c = checkpoint_at(q, (i + 1) * KV_PAGE_ROWS);

		e->checkpoint = c ? checkpoint_get(c) : NULL;
	}
}

/*
 * Pages bound what is kept, but for entries without any, as of models whose layers are all
 * recurrent, and for several of a page, by who may see it.
 */
static void make_room(struct prefix_cache *c, struct pages *p, uint32_t entries)
{
	const uint64_t most = 2 * MAX((uint64_t)p->pools[PAGES_FULL].most,
				      (uint64_t)p->sequences * p->size.pages);

	while (c->count && c->count + entries > most)
		prefix_drop(c, p, false);
}

/* @last: of the context. */
static int keep(struct step *s, const struct sequence *q, uint64_t salt, struct prefix_entry **last,
		struct stoker_error *err)
{
	const uint32_t own = s->chunk ? q->same_bits : q->position;
	const uint32_t pages = (q->shifted ? MIN(own, q->shifted_from) : own) / KV_PAGE_ROWS;
	struct prefix_cache *c = &s->prefix;
	struct prefix_entry *e = NULL;

	make_room(c, &s->pages, pages);
	for (uint32_t i = 0; i < pages; i++) {
		const uint32_t *tokens = q->tokens + (size_t)i * KV_PAGE_ROWS;
		struct prefix_entry *next = find(c, e, tokens, salt);

		next = next ? next : add(c, e, tokens, salt, err);
		if (!next)
			return -ENOMEM;
		e = next;
		keep_page(s, q, i, e);
	}
	touch(c, e);
	*last = e;
	return 0;
}

int prefix_keep(struct step *s, const struct sequence *q, uint64_t salt, struct stoker_error *err)
{
	struct prefix_entry *last;

	return keep(s, q, salt, &last, err);
}

/* Those that the answer had on the way to @e. */
static void forget_passing(struct prefix_entry *e)
{
	while ((e = only_parent(e)))
		if (e->checkpoint && e->checkpoint->passing && e->checkpoint->users == 1)
			forget_checkpoint(e);
}

int prefix_keep_state(struct step *s, const struct sequence *q, uint64_t salt,
		      struct stoker_error *err)
{
	struct stoker_device *d = s->model->device;
	struct prefix_entry *e;
	struct checkpoint *c;
	int ret;

	assert(!q->lost && q->position % KV_PAGE_ROWS == 0);
	ret = keep(s, q, salt, &e, err);
	if (ret || !e || e->checkpoint || s->chunk || q->shifted)
		return ret;
	forget_passing(e);
	c = checkpoint_spare(s);
	if (!c)
		return 0;
	pthread_mutex_lock(&d->exclusive);
	ret = pages_copy(d, c->at, sequence_slot(s, q), s->pages.size.slot_bytes, err);
	pthread_mutex_unlock(&d->exclusive);
	if (ret)
		return ret;
	c->position = q->position;
	c->passing = true;
	e->checkpoint = checkpoint_get(c);
	return 0;
}
