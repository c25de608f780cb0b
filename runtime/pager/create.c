// SPDX-License-Identifier: MIT
/* How many slots there are, and the pager's beginning and end. */
#include "pager/internal.h"

static uint64_t slot_room(const struct pager_source *l)
{
	uint64_t room = 0;

	for (int i = 0; i < PAGER_SLICES; i++)
		room += slice_room(&l->slice[i]);
	return room;
}

uint64_t pager_memory(const struct pager_source *layers, uint32_t count, uint32_t experts)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += MIN(experts, layers[i].experts) * slot_room(&layers[i]);
	return bytes;
}

static struct slot_class *class_of(struct stoker_pager *p, uint64_t slot_bytes)
{
	for (uint32_t i = 0; i < p->class_count; i++)
		if (p->classes[i].slot_bytes == slot_bytes)
			return &p->classes[i];
	p->classes[p->class_count].slot_bytes = slot_bytes;
	return &p->classes[p->class_count++];
}

/* Where slot @i of a class is. */
typedef void place_fn(struct slot_class *c, uint32_t i, uint8_t *host, stoker_address at);

static void place_slot(struct slot_class *c, uint32_t i, uint8_t *host, stoker_address at)
{
	c->slots[i].memory = host;
	c->slots[i].at = at;
}

static void place_copy(struct slot_class *c, uint32_t i, uint8_t *host, stoker_address at)
{
	(void)host;
	c->copies[i].at = at;
}

/* Room that a device may want behind what it imports. */
enum { IMPORT_PADDING = 1 << 16 };

/* Memory of the device; for slots it is the store's, where that reads into nothing else. */
static int create_block(struct stoker_pager *p, uint64_t bytes, bool slots, struct stoker_memory *m,
			struct stoker_error *err)
{
	struct store_arena a;
	int ret;

	if (!slots || !p->store->ops->arena_create)
		return p->device->ops->memory_create(p->device, bytes, m, err);
	if (!p->device->ops->memory_import)
		return stoker_fail(err, -ENOTSUP, "%s: reads by \"%s\" can't go to its memory",
				   p->device->ops->name, p->store->ops->name);
	ret = p->store->ops->arena_create(p->store, bytes + IMPORT_PADDING, &a, err);
	if (ret)
		return ret;
	return p->device->ops->memory_import(p->device, a.host, a.fd, bytes, m, err);
}

/* Blocks of device memory as large as there can be, cut into @count slots. */
static int cut_blocks(struct stoker_pager *p, struct slot_class *c, uint32_t count, place_fn *place,
		      struct stoker_error *err)
{
	const uint64_t in_block =
		p->device->max_memory > STOKER_STORE_ALIGN
			? (p->device->max_memory - STOKER_STORE_ALIGN) / c->slot_bytes
			: 0;
	uint32_t done = 0;

	c->blocks = in_block ? calloc(count / in_block + 1, sizeof(*c->blocks)) : NULL;
	if (!c->blocks)
		return stoker_fail(err, -ENOMEM, "no memory for %u slots", count);
	while (done < count) {
		struct stoker_memory *m = &c->blocks[c->block_count];
		const uint32_t n = (uint32_t)MIN(in_block, (uint64_t)(count - done));
		const int ret = create_block(p, n * c->slot_bytes + STOKER_STORE_ALIGN,
					     place == place_slot, m, err);

		if (ret)
			return ret;
		c->block_count++;
		const uint64_t skip =
			round_up((uintptr_t)m->host, STOKER_STORE_ALIGN) - (uintptr_t)m->host;

		for (uint32_t i = 0; i < n; i++, done++) {
			const uint64_t at = skip + i * c->slot_bytes;

			place(c, done, m->host ? (uint8_t *)m->host + at : NULL, m->at + at);
		}
	}
	return 0;
}

/* Slots in memory of the host. */
static int create_host(struct stoker_pager *p, struct slot_class *c, struct stoker_error *err)
{
	const uint64_t bytes = c->count * c->slot_bytes;
	struct store_arena a;

	if (p->store->ops->arena_create) {
		const int ret = p->store->ops->arena_create(p->store, bytes, &a, err);

		c->host = a.host;
		return ret;
	}
	c->host = aligned_alloc(STOKER_STORE_ALIGN, bytes);
	c->owns_host = true;
	return c->host ? 0 : stoker_fail(err, -ENOMEM, "no memory for %u slots", c->count);
}

static int fill_class(struct stoker_pager *p, struct slot_class *c, struct stoker_error *err)
{
	int ret;

	c->slots = calloc(c->count, sizeof(*c->slots));
	if (!c->slots)
		return stoker_fail(err, -ENOMEM, "no memory for %u slots", c->count);
	if (p->device->shares_memory) {
		ret = cut_blocks(p, c, c->count, place_slot, err);
	} else {
		c->copies = calloc(c->copy_count, sizeof(*c->copies));
		if (!c->copies)
			return stoker_fail(err, -ENOMEM, "no memory for %u slots", c->count);
		ret = create_host(p, c, err);
		if (ret)
			return ret;
		for (uint32_t i = 0; i < c->count; i++)
			place_slot(c, i, (uint8_t *)c->host + i * c->slot_bytes, 0);
		ret = cut_blocks(p, c, c->copy_count, place_copy, err);
	}
	for (uint32_t i = 0; i < c->count; i++)
		make_newest(c, &c->slots[i]);
	p->stats.slots += c->count;
	p->stats.slot_bytes += c->count * c->slot_bytes;
	return ret;
}

/* What every class gets before the rest is shared out: one token's experts. */
static uint32_t first_share(const struct slot_class *c, uint32_t least)
{
	return MIN(least, c->experts);
}

uint64_t pager_least(const struct pager_source *layers, uint32_t count, uint32_t least)
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
			bytes += room * MIN(least, experts);
	}
	return bytes;
}

/*
 * The first shares, and of what is left of @memory as much as a class's experts are of all: counts
 * of slots.
 */
static int share_out(const struct stoker_pager *p, uint64_t memory, const char *whose,
		     uint32_t *counts, struct stoker_error *err)
{
	uint64_t all = 0, first = 0;
	char have[16], need[16];

	for (uint32_t i = 0; i < p->class_count; i++) {
		const struct slot_class *c = &p->classes[i];

		first += first_share(c, p->least) * c->slot_bytes;
		all += (c->experts - first_share(c, p->least)) * c->slot_bytes;
	}
	if (first > memory)
		return stoker_fail(err, -ENOMEM, "%s of %s memory for experts, a token needs %s",
				   stoker_human_size(memory, have), whose,
				   stoker_human_size(first, need));
	for (uint32_t i = 0; i < p->class_count; i++) {
		const struct slot_class *c = &p->classes[i];
		const uint32_t others = c->experts - first_share(c, p->least);
		const double part = all ? (double)(memory - first) / (double)all : 0;

		counts[i] = first_share(c, p->least) +
			    (part < 1 ? (uint32_t)(part * (double)others) : others);
	}
	return 0;
}

/* Slots of one tier or two. */
static int make_slots(struct stoker_pager *p, const struct pager_params *params,
		      struct stoker_error *err)
{
	AUTO_FREE uint32_t *counts = calloc(p->class_count, sizeof(*counts));
	int ret;

	if (!counts)
		return stoker_fail(err, -ENOMEM, "out of memory");
	ret = share_out(p, params->memory, "the device's", counts, err);
	for (uint32_t i = 0; i < p->class_count; i++)
		p->classes[i].count = p->classes[i].copy_count = counts[i];
	if (!ret && !p->device->shares_memory)
		ret = share_out(p, params->host_memory, "the host's", counts, err);
	for (uint32_t i = 0; i < p->class_count && !ret; i++) {
		p->classes[i].count = counts[i];
		ret = fill_class(p, &p->classes[i], err);
	}
	return ret;
}

/* From a quarter more than an equal share in a class's first layer to as much less in its last. */
static void set_quotas(struct stoker_pager *p)
{
	for (uint32_t i = 0; i < p->class_count; i++) {
		const struct slot_class *c = &p->classes[i];
		uint32_t n = 0;

		for (uint32_t k = 0; k < p->layer_count; k++) {
			struct pager_layer *l = &p->layers[k];
			const double depth = c->layers > 1 ? n / (c->layers - 1.0) : 0.5;

			if (l->class != c)
				continue;
			l->quota = (uint32_t)(c->count * (1.25 - depth / 2) / c->layers);
			n++;
		}
	}
}

int pager_create(const struct pager_params *params, struct stoker_pager **out,
		 struct stoker_error *err)
{
	struct stoker_pager *p = calloc(1, sizeof(*p));
	const struct pager_source *layers = params->layers;
	const uint32_t count = params->count;
	int ret = 0;

	*out = NULL;
	if (!p) {
		params->store->ops->destroy(params->store);
		return stoker_fail(err, -ENOMEM, "out of memory");
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	pthread_cond_init(&p->called, NULL);
	p->device = params->device;
	p->store = params->store;
	p->policy = pager_policy(params->policy);
	p->prefetch = params->prefetch;
	p->steps = params->steps;
	p->least = params->least;
	p->few_rows = params->few_rows;
	p->threads = params->threads;
	p->forks = p->device->forks;
	p->pressure = params->pressure ? params->pressure : "/proc/pressure/memory";
	p->meminfo = params->meminfo ? params->meminfo : "/proc/meminfo";
	p->look_ns = params->look_ns ? params->look_ns : 1000000000;
	p->layers = calloc(count, sizeof(*p->layers));
	p->classes = calloc(count, sizeof(*p->classes));
	p->layer_count = count;
	if (!p->layers || !p->classes)
		ret = stoker_fail(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < count && !ret; i++) {
		struct pager_layer *l = &p->layers[i];

		*l = (struct pager_layer){
			.pager = p,
			.source = layers[i],
			.number = i,
		};
		if (!layers[i].experts)
			continue;
		l->predicted = calloc(layers[i].experts, sizeof(*l->predicted));
		l->resident = calloc(layers[i].experts, sizeof(*l->resident));
		l->score = calloc(layers[i].experts, sizeof(*l->score));
		for (uint32_t e = 0; l->score && e < layers[i].experts; e++)
			l->score[e] = -100;
		if (!l->resident || !l->score || !l->predicted)
			ret = stoker_fail(err, -ENOMEM, "out of memory");
		l->class = class_of(p, slot_room(&layers[i]));
		l->class->layers++;
		l->class->experts += layers[i].experts;
	}
	if (!ret)
		ret = make_slots(p, params, err);
	if (!ret)
		set_quotas(p);
	rest_trial(p);
	if (!ret)
		start_workers(p, params->threads);
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
	if (!pager_is_forked(p)) {
		stop_workers(p);
		p->store->ops->destroy(p->store); /* ends what is under way */
		pthread_cond_destroy(&p->called);
		pthread_cond_destroy(&p->changed);
		pthread_mutex_destroy(&p->lock);
	}
	for (uint32_t i = 0; p->classes && i < p->class_count; i++) {
		for (uint32_t b = 0; b < p->classes[i].block_count; b++)
			p->device->ops->memory_destroy(p->device, &p->classes[i].blocks[b]);
		free(p->classes[i].slots);
		free(p->classes[i].copies);
		if (p->classes[i].owns_host)
			free(p->classes[i].host);
		free(p->classes[i].blocks);
	}
	for (uint32_t i = 0; p->layers && i < p->layer_count; i++) {
		free(p->layers[i].resident);
		free(p->layers[i].score);
		free(p->layers[i].predicted);
	}
	free(p->classes);
	free(p->layers);
	free(p);
}
