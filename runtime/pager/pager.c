// SPDX-License-Identifier: MIT
/* Slots, residency and replacement: see pager.h. */
#include "pager/pager.h"

#include <math.h>

/* After so many rounds through the layers a use counts half. */
static const double half_life = 16;

struct slot {
	uint8_t *memory;
	stoker_address at;
	struct layer *layer; /* whose expert it holds, NULL: empty */
	uint32_t expert;
	uint32_t users;	  /* want() without release() */
	uint32_t pending; /* reads under way */
	int failed;
	struct store_read reads[PAGER_SLICES];
	uint64_t inner[PAGER_SLICES]; /* where in the slot each matrix begins */
	struct slot *older, *newer;
};

/* Layers whose experts take the same room share slots. */
struct class
{
	uint64_t slot_bytes;
	uint32_t layers, experts, count; /* count: of slots */
	struct slot *slots, *oldest, *newest;
	struct stoker_memory *blocks;
	uint32_t block_count;
};

struct layer {
	struct stoker_expert_source source;
	struct stoker_pager *pager;
	struct pager_layer place;
	struct class *class;
	struct slot **resident; /* [experts] */
	double *score;		/* [experts], log2 of uses that halve with time */
	uint32_t number;
};

struct policy {
	const char *name;
	/* A slot that nobody uses, or NULL. */
	struct slot *(*victim)(const struct class *c);
};

struct stoker_pager {
	struct stoker_device *device;
	struct stoker_store *store;
	struct layer *layers;
	uint32_t layer_count;
	struct class *classes;
	uint32_t class_count;
	const struct policy *policy;
	uint64_t waves; /* want() calls so far, a clock */
	struct pager_stats stats;
};

/* --- sizes ---------------------------------------------------------------------------------------
 */

/* Room for a matrix wherever in a block it begins. */
static uint64_t slice_room(const struct pager_slice *s)
{
	return s->bytes ? round_up(s->bytes, STOKER_STORE_ALIGN) + STOKER_STORE_ALIGN : 0;
}

static uint64_t slot_room(const struct pager_layer *l)
{
	uint64_t room = 0;

	for (int i = 0; i < PAGER_SLICES; i++)
		room += slice_room(&l->slice[i]);
	return room;
}

uint64_t pager_memory(const struct pager_layer *layers, uint32_t count, uint32_t experts)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += MIN(experts, layers[i].experts) * slot_room(&layers[i]);
	return bytes;
}

/* --- the list of slots, from oldest to newest
 * ------------------------------------------------------
 */

static void unlink_slot(struct class *c, struct slot *s)
{
	*(s->older ? &s->older->newer : &c->oldest) = s->newer;
	*(s->newer ? &s->newer->older : &c->newest) = s->older;
	s->older = s->newer = NULL;
}

static void make_newest(struct class *c, struct slot *s)
{
	s->older = c->newest;
	s->newer = NULL;
	*(c->newest ? &c->newest->newer : &c->oldest) = s;
	c->newest = s;
}

static void make_oldest(struct class *c, struct slot *s)
{
	s->newer = c->oldest;
	s->older = NULL;
	*(c->oldest ? &c->oldest->older : &c->newest) = s;
	c->oldest = s;
}

static bool is_free(const struct slot *s)
{
	return !s->users && !s->pending;
}

static struct slot *oldest_free(const struct class *c)
{
	struct slot *s = c->oldest;

	while (s && !is_free(s))
		s = s->newer;
	return s;
}

/*
 * The slot whose expert was used least, the recent past counting most.  Layers take turns in every
 * token, which is the worst for an LRU list with less room than a token needs.
 */
static struct slot *least_used(const struct class *c)
{
	struct slot *best = NULL;
	double least = INFINITY;

	for (struct slot *s = c->oldest; s; s = s->newer) {
		if (!is_free(s))
			continue;
		if (!s->layer)
			return s;
		if (s->layer->score[s->expert] < least) {
			least = s->layer->score[s->expert];
			best = s;
		}
	}
	return best;
}

/* Whether a slot waits for reads that nobody wants any more. */
static bool has_abandoned(const struct class *c)
{
	for (const struct slot *s = c->oldest; s; s = s->newer)
		if (!s->users && s->pending)
			return true;
	return false;
}

static const struct policy policies[] = { { "frequency", least_used }, { "lru", oldest_free } };

static const struct policy *find_policy(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (!name || !strcmp(policies[i].name, name))
			return &policies[i];
	return NULL;
}

bool pager_has_policy(const char *name)
{
	return find_policy(name) != NULL;
}

/* One more use, now: later ones weigh more instead of earlier ones being halved. */
static void count_use(struct layer *l, uint32_t expert)
{
	const double now = (double)l->pager->waves / l->pager->layer_count / half_life;
	double *score = &l->score[expert];

	*score = *score < now - 50 ? now : *score + log2(1 + exp2(now - *score));
}

static void forget(struct slot *s)
{
	if (s->layer)
		s->layer->resident[s->expert] = NULL;
	s->layer = NULL;
	s->failed = 0;
}

/* --- reads ---------------------------------------------------------------------------------------
 */

static void take_completions(struct stoker_pager *p, bool wait)
{
	struct store_read *done[32];
	const size_t count = p->store->ops->complete(p->store, done, ARRAY_SIZE(done), wait);

	for (size_t i = 0; i < count; i++) {
		struct slot *s = done[i]->owner;

		s->pending--;
		if (done[i]->result && !s->failed)
			s->failed = done[i]->result;
		p->stats.bytes += done[i]->result ? 0 : done[i]->bytes;
	}
}

/* Describes the reads that bring an expert into its slot; returns how many. */
static uint32_t plan_reads(struct slot *s, struct store_read **reads)
{
	const struct pager_layer *place = &s->layer->place;
	uint64_t at = 0;
	uint32_t count = 0;

	for (int i = 0; i < PAGER_SLICES; i++) {
		const struct pager_slice *slice = &place->slice[i];
		const uint64_t first = slice->offset + s->expert * slice->stride;
		const uint64_t begin = first / STOKER_STORE_ALIGN * STOKER_STORE_ALIGN;
		struct store_read *r = &s->reads[i];

		if (!slice->bytes)
			continue;
		*r = (struct store_read){
			.file = slice->file,
			.offset = begin,
			.bytes = round_up(first + slice->bytes - begin, STOKER_STORE_ALIGN),
			.need = first + slice->bytes - begin,
			.dst = s->memory + at,
			.owner = s,
		};
		s->inner[i] = at + (first - begin);
		at += slice_room(slice);
		reads[count++] = r;
	}
	s->pending = count;
	return count;
}

static int by_place(const void *a, const void *b)
{
	const struct store_read *x = *(struct store_read *const *)a;
	const struct store_read *y = *(struct store_read *const *)b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* --- the source of one layer's experts
 * -------------------------------------------------------------
 */

static uint32_t want(struct stoker_expert_source *source, const uint32_t *experts, uint32_t count)
{
	struct layer *l = (struct layer *)source;
	struct stoker_pager *p = l->pager;
	struct class *c = l->class;
	struct store_read *reads[64 * PAGER_SLICES];
	uint32_t read_count = 0, taken = 0;

	take_completions(p, false);
	p->waves++;
	for (; taken < count && read_count + PAGER_SLICES <= ARRAY_SIZE(reads); taken++) {
		const uint32_t expert = experts[taken];
		struct slot *s = l->resident[expert];

		while (s && s->failed && !s->users && s->pending)
			take_completions(p, true);
		if (s && s->failed && !s->users) {
			forget(s); /* tried again */
			s = NULL;
		}
		if (s) {
			p->stats.hits++;
		} else {
			s = p->policy->victim(c);
			/* what was begun for others and isn't needed any more becomes free */
			while (!s && has_abandoned(c)) {
				take_completions(p, true);
				s = p->policy->victim(c);
			}
			if (!s)
				break;
			p->stats.misses++;
			forget(s);
			s->layer = l;
			s->expert = expert;
			l->resident[expert] = s;
			read_count += plan_reads(s, reads + read_count);
		}
		s->users++;
		count_use(l, expert);
		unlink_slot(c, s);
		make_newest(c, s);
	}
	if (read_count) {
		qsort(reads, read_count, sizeof(*reads), by_place);
		p->store->ops->submit(p->store, reads, read_count, STORE_DEMAND);
	}
	return taken;
}

static bool ready(struct stoker_expert_source *source, uint32_t expert)
{
	struct layer *l = (struct layer *)source;

	take_completions(l->pager, false);
	return l->resident[expert]->pending == 0;
}

static int read_failed(const struct layer *l, const struct slot *s, struct stoker_error *err)
{
	const struct store_read *bad = &s->reads[0];

	for (int i = 0; i < PAGER_SLICES; i++)
		if (s->layer->place.slice[i].bytes && s->reads[i].result)
			bad = &s->reads[i];
	return stoker_fail(err, -EIO, "%s: expert %u of layer %u: reading %llu bytes at %llu: %s",
			   bad->file->path, s->expert, l->number, (unsigned long long)bad->need,
			   (unsigned long long)bad->offset,
			   s->failed == -ENODATA ? "the file has become shorter"
						 : strerror(-s->failed));
}

static int get(struct stoker_expert_source *source, uint32_t expert, struct stoker_expert *at,
	       struct stoker_error *err)
{
	struct layer *l = (struct layer *)source;
	struct stoker_pager *p = l->pager;
	struct slot *s = l->resident[expert];

	if (s->pending) {
		const uint64_t began = stoker_now_ns();

		while (s->pending)
			take_completions(p, true);
		p->stats.stall_ns += stoker_now_ns() - began;
	}
	if (s->failed)
		return read_failed(l, s, err);
	*at = (struct stoker_expert){
		.gate = s->at + s->inner[0],
		.up = s->at + s->inner[1],
		.down = s->at + s->inner[2],
	};
	return 0;
}

static void release(struct stoker_expert_source *source, uint32_t expert)
{
	struct layer *l = (struct layer *)source;
	struct slot *s = l->resident[expert];

	assert(s->users);
	s->users--;
	if (s->failed && !s->users && !s->pending) {
		forget(s);
		unlink_slot(l->class, s);
		make_oldest(l->class, s);
	}
}

struct stoker_expert_source *pager_source(struct stoker_pager *p, uint32_t layer)
{
	return p->layers[layer].place.experts ? &p->layers[layer].source : NULL;
}

struct pager_stats pager_stats(const struct stoker_pager *p)
{
	return p->stats;
}

/* --- making it -----------------------------------------------------------------------------------
 */

static struct class *class_of(struct stoker_pager *p, uint64_t slot_bytes)
{
	for (uint32_t i = 0; i < p->class_count; i++)
		if (p->classes[i].slot_bytes == slot_bytes)
			return &p->classes[i];
	p->classes[p->class_count].slot_bytes = slot_bytes;
	return &p->classes[p->class_count++];
}

/* Blocks of memory as large as the device allows, cut into slots. */
static int fill_class(struct stoker_pager *p, struct class *c, struct stoker_error *err)
{
	const uint64_t in_block =
		p->device->max_memory > STOKER_STORE_ALIGN
			? (p->device->max_memory - STOKER_STORE_ALIGN) / c->slot_bytes
			: 0;
	uint32_t done = 0;

	c->slots = calloc(c->count, sizeof(*c->slots));
	c->blocks = in_block ? calloc(c->count / in_block + 1, sizeof(*c->blocks)) : NULL;
	if (!c->slots || !c->blocks)
		return stoker_fail(err, -ENOMEM, "no memory for %u slots", c->count);
	while (done < c->count) {
		struct stoker_memory *m = &c->blocks[c->block_count];
		const uint32_t n = (uint32_t)MIN(in_block, (uint64_t)(c->count - done));
		const int ret = p->device->ops->memory_create(
			p->device, n * c->slot_bytes + STOKER_STORE_ALIGN, m, err);

		if (ret)
			return ret;
		c->block_count++;
		if (!m->host)
			return stoker_fail(err, -ENOTSUP,
					   "experts can't be paged into memory that the host "
					   "doesn't see");
		const uint64_t skip =
			round_up((uintptr_t)m->host, STOKER_STORE_ALIGN) - (uintptr_t)m->host;

		for (uint32_t i = 0; i < n; i++, done++) {
			struct slot *s = &c->slots[done];

			s->memory = (uint8_t *)m->host + skip + i * c->slot_bytes;
			s->at = m->at + skip + i * c->slot_bytes;
			make_newest(c, s);
		}
	}
	p->stats.slots += c->count;
	p->stats.slot_bytes += c->count * c->slot_bytes;
	return 0;
}

/* What every class gets before the rest is shared out: one token's experts, and one to read ahead.
 */
static uint32_t first_share(const struct class *c, uint32_t least)
{
	return MIN(least + 1, c->experts);
}

uint64_t pager_least(const struct pager_layer *layers, uint32_t count, uint32_t least)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++) {
		const uint64_t room = slot_room(&layers[i]);
		uint32_t experts = 0;
		bool first = layers[i].experts > 0;

		for (uint32_t k = 0; k < count; k++)
			if (slot_room(&layers[k]) == room) {
				experts += layers[k].experts;
				first = first && (k >= i || !layers[k].experts);
			}
		if (first)
			bytes += room * MIN(least + 1, experts);
	}
	return bytes;
}

/* The first shares, and of what is left as much as a class's experts are of all. */
static int share_out(struct stoker_pager *p, uint64_t memory, uint32_t least,
		     struct stoker_error *err)
{
	uint64_t all = 0, first = 0;
	char have[16], need[16];
	int ret = 0;

	for (uint32_t i = 0; i < p->class_count; i++) {
		const struct class *c = &p->classes[i];

		first += first_share(c, least) * c->slot_bytes;
		all += (c->experts - first_share(c, least)) * c->slot_bytes;
	}
	if (first > memory)
		return stoker_fail(err, -ENOMEM, "%s for experts, a token needs %s",
				   stoker_human_size(memory, have), stoker_human_size(first, need));
	for (uint32_t i = 0; i < p->class_count && !ret; i++) {
		struct class *c = &p->classes[i];
		const uint32_t others = c->experts - first_share(c, least);
		const double part = all ? (double)(memory - first) / (double)all : 0;

		c->count = first_share(c, least) +
			   (part < 1 ? (uint32_t)(part * (double)others) : others);
		ret = fill_class(p, c, err);
	}
	return ret;
}

int pager_create(struct stoker_device *device, const struct pager_layer *layers, uint32_t count,
		 uint64_t memory, uint32_t least, const char *policy, struct stoker_store *store,
		 struct stoker_pager **out, struct stoker_error *err)
{
	struct stoker_pager *p = calloc(1, sizeof(*p));
	int ret = 0;

	*out = NULL;
	if (!p) {
		store->ops->destroy(store);
		return stoker_fail(err, -ENOMEM, "out of memory");
	}
	p->device = device;
	p->store = store;
	p->policy = find_policy(policy);
	p->layers = calloc(count, sizeof(*p->layers));
	p->classes = calloc(count, sizeof(*p->classes));
	p->layer_count = count;
	if (!p->layers || !p->classes)
		ret = stoker_fail(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < count && !ret; i++) {
		struct layer *l = &p->layers[i];

		*l = (struct layer){
			.source = { .want = want, .ready = ready, .get = get, .release = release },
			.pager = p,
			.place = layers[i],
			.number = i,
		};
		if (!layers[i].experts)
			continue;
		l->resident = calloc(layers[i].experts, sizeof(*l->resident));
		l->score = calloc(layers[i].experts, sizeof(*l->score));
		for (uint32_t e = 0; l->score && e < layers[i].experts; e++)
			l->score[e] = -100;
		if (!l->resident || !l->score)
			ret = stoker_fail(err, -ENOMEM, "out of memory");
		l->class = class_of(p, slot_room(&layers[i]));
		l->class->layers++;
		l->class->experts += layers[i].experts;
	}
	if (!ret)
		ret = share_out(p, memory, least, err);
	if (ret)
		pager_destroy(&p);
	*out = p;
	return ret;
}

void pager_destroy(struct stoker_pager **pager)
{
	struct stoker_pager *p = *pager;

	*pager = NULL;
	if (!p)
		return;
	p->store->ops->destroy(p->store); /* ends what is under way */
	for (uint32_t i = 0; p->classes && i < p->class_count; i++) {
		for (uint32_t b = 0; b < p->classes[i].block_count; b++)
			p->device->ops->memory_destroy(p->device, &p->classes[i].blocks[b]);
		free(p->classes[i].slots);
		free(p->classes[i].blocks);
	}
	for (uint32_t i = 0; p->layers && i < p->layer_count; i++) {
		free(p->layers[i].resident);
		free(p->layers[i].score);
	}
	free(p->classes);
	free(p->layers);
	free(p);
}
