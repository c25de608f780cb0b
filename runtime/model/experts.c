// SPDX-License-Identifier: MIT
/*
 * Experts that stay on the drive: before a layer's experts op the host reads which ones its router
 * chose, has the pager bring them in, and tells the op where they are.
 *
 * The device is waited for once a layer, when those ids are read.  By then it is also done with the
 * experts of the layer before, which are kept for so long.
 */
#include "model/forward.h"
#include "pager/pager.h"

/* Of all of a model's sessions: guarded by the device's lock, which is held for a batch. */
struct model_fetch {
	struct stoker_pager *pager;
	uint32_t *ids, *entries; /* of a layer: [rows * used] */
	size_t room;		 /* of those */
	uint32_t *list;		 /* experts in the order in which they are asked for */
	struct chosen_expert *chosen, *missing;
	uint32_t count; /* of the list and of the chosen ones */
	/* of the list: asked for; handed to the device; given back */
	uint32_t acquired, computed, released;
	uint32_t layer; /* whose experts they are */
	uint32_t known; /* 1 + the layer whose ids are there before its turn, 0: none */
};

int model_create_fetch(struct stoker_model *m, struct stoker_pager *pager)
{
	uint32_t experts = 0;

	for (uint32_t i = 0; i < m->layer_count; i++)
		experts = MAX(experts, m->layers[i].expert_count);
	m->fetch = calloc(1, sizeof(*m->fetch));
	if (!m->fetch)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	m->fetch->pager = pager;
	m->fetch->list = calloc(experts, sizeof(*m->fetch->list));
	m->fetch->chosen = calloc(experts, sizeof(*m->fetch->chosen));
	m->fetch->missing = calloc(experts, sizeof(*m->fetch->missing));
	if (!m->fetch->list || !m->fetch->chosen || !m->fetch->missing)
		return stoker_fail(m->err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < m->layer_count; i++)
		m->layers[i].paged = m->layers[i].expert_count > 0;
	return 0;
}

void model_free_fetch(struct stoker_model *m)
{
	if (!m->fetch)
		return;
	free(m->fetch->ids);
	free(m->fetch->entries);
	free(m->fetch->list);
	free(m->fetch->chosen);
	free(m->fetch->missing);
	free(m->fetch);
	m->fetch = NULL;
}

/* Gives back the experts of the list up to @end. */
static void release(struct model_fetch *t, uint32_t end)
{
	for (; t->released < end; t->released++)
		pager_release(t->pager, t->layer, t->list[t->released]);
}

int model_go_on(const struct stoker_model *m, struct stoker_error *err)
{
	struct model_fetch *t = m->fetch;
	int ret;

	if (!t || !pager_is_forked(t->pager))
		return 0;
	ret = pager_go_on(t->pager, err);
	if (!ret)
		t->acquired = t->computed = t->released = t->known = 0;
	return ret;
}

bool model_begin_fetch(const struct stoker_model *m, uint32_t rows)
{
	return m->fetch && pager_begin(m->fetch->pager, rows);
}

void model_end_fetch(const struct stoker_model *m, bool good)
{
	struct model_fetch *t = m->fetch;

	if (!t)
		return;
	release(t, t->acquired);
	t->known = 0;
	pager_end(t->pager, good);
}

/* Waits for the device, which doesn't need the experts any more that it has computed with. */
static int wait_for_device(const struct stoker_model *m, struct stoker_error *err)
{
	const int ret = m->device->ops->sync(m->device, err);

	if (!ret)
		release(m->fetch, m->fetch->computed);
	return ret;
}

static bool grow(uint32_t **list, size_t count)
{
	uint32_t *more = realloc(*list, count * sizeof(*more));

	if (more)
		*list = more;
	return more;
}

/* Room for the choices of so many entries. */
static int reserve(struct model_fetch *t, size_t entries, struct stoker_error *err)
{
	if (entries <= t->room)
		return 0;
	if (!grow(&t->ids, entries) || !grow(&t->entries, entries))
		return stoker_fail(err, -ENOMEM, "no memory for the choices of %zu experts",
				   entries);
	t->room = entries;
	return 0;
}

/* What a router chose for all rows. */
static int read_ids(const struct forward *f, stoker_address ids, struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	const size_t entries = (size_t)f->rows * m->experts_used;
	const int ret = reserve(m->fetch, entries, err);

	return ret ? ret
		   : m->device->ops->read(m->device, m->fetch->ids, ids,
					  entries * sizeof(*m->fetch->ids), err);
}

/* What the router of the next layer would choose, for the pager. */
static int predict_next(const struct forward *f, uint32_t il, struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	int ret;

	if (!f->prefetches || !model_predicts(m, il + 1))
		return 0;
	ret = read_ids(f, predicted_ids(f, il + 1, 1), err);
	if (!ret)
		pager_predict(m->fetch->pager, il + 1, m->fetch->ids, m->experts_used, false);
	return ret;
}

int model_fetch_early(const struct forward *f, uint32_t il, stoker_address ids,
		      struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	int ret;

	if (!f->prefetches || !m->layers[il].paged)
		return 0;
	ret = wait_for_device(m, err);
	if (!ret)
		ret = read_ids(f, ids, err);
	if (ret)
		return ret;
	pager_predict(m->fetch->pager, il, m->fetch->ids, m->experts_used, true);
	m->fetch->known = il + 1;
	return 0;
}

/* The host's visit to the device: afterwards it knows the layer's choices. */
static int visit(const struct forward *f, uint32_t il, stoker_address ids, struct stoker_error *err)
{
	struct model_fetch *t = f->model->fetch;
	int ret = 0;

	if (t->known != il + 1) {
		ret = wait_for_device(f->model, err);
		if (!ret)
			ret = predict_next(f, il, err);
		if (!ret)
			ret = read_ids(f, ids, err);
	}
	t->known = 0;
	return ret;
}

/* The experts that are there come first, so that they are computed while the others load. */
static void put_in_order(struct model_fetch *t)
{
	uint32_t there = 0, missing = 0;

	for (uint32_t i = 0; i < t->count; i++)
		if (pager_has(t->pager, t->layer, t->chosen[i].expert))
			t->chosen[there++] = t->chosen[i];
		else
			t->missing[missing++] = t->chosen[i];
	memcpy(t->chosen + there, t->missing, missing * sizeof(*t->missing));
}

/* Lists what some rows have chosen, whose @count ids are given. */
static void list_experts(struct model_fetch *t, const struct layer *l, const uint32_t *ids,
			 uint32_t count)
{
	assert(t->released == t->acquired);
	t->acquired = t->computed = t->released = 0;
	t->count = stoker_sort_choices(ids, count, l->expert_count, t->entries, t->chosen);
	put_in_order(t);
	for (uint32_t i = 0; i < t->count; i++)
		t->list[i] = t->chosen[i].expert;
}

/* Asks for as many more as there is room for. */
static uint32_t acquire(struct model_fetch *t)
{
	const uint32_t more =
		pager_acquire(t->pager, t->layer, t->list + t->acquired, t->count - t->acquired);

	t->acquired += more;
	return more;
}

static int no_room(const struct model_fetch *t, struct stoker_error *err)
{
	return stoker_fail(err, -ENOMEM, "layer %u: slots for %u of %u experts", t->layer,
			   t->acquired, t->count);
}

/* Experts [begin, end) of the list, which are there. */
static void compute(const struct stoker_model *m, const struct op_experts *op, uint32_t begin,
		    uint32_t end)
{
	struct model_fetch *t = m->fetch;
	const struct expert_wave wave = { .experts = t->chosen + begin,
					  .count = end - begin,
					  .entries = t->entries,
					  .first = begin == 0,
					  .last = end == t->count };
	struct op_experts part = *op;

	part.wave = &wave;
	device_experts(m->device, &part);
	t->computed = end;
	if (m->device->runs_at_once)
		release(t, end);
}

/* All of the list in one wave. */
static int run_whole(const struct stoker_model *m, const struct op_experts *op,
		     struct stoker_error *err)
{
	struct model_fetch *t = m->fetch;
	int ret = 0;

	while (t->acquired < t->count)
		if (!acquire(t))
			return no_room(t, err);
	for (uint32_t i = 0; i < t->count && !ret; i++)
		ret = pager_get(t->pager, t->layer, t->list[i], &t->chosen[i].at, err);
	if (!ret)
		compute(m, op, 0, t->count);
	return ret;
}

/* The same row after row, each of which has no more experts than there is room for. */
static int run_rows(const struct forward *f, const struct op_experts *op, struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	struct model_fetch *t = m->fetch;
	struct op_experts one = *op;
	int ret = 0;

	one.rows = 1;
	for (uint32_t row = 0; row < op->rows && !ret; row++) {
		const uint64_t choice = (uint64_t)row * op->used;

		one.dst = op->dst + row * (uint64_t)op->down->out * sizeof(float);
		one.src = op->src + row * (uint64_t)op->up->in * sizeof(float);
		one.src_q8 = op->src_q8 ? op->src_q8 + row * stoker_q8_bytes(m->device, op->up->in)
					: 0;
		one.ids = op->ids + choice * sizeof(uint32_t);
		one.weights = op->weights + choice * sizeof(float);
		ret = row ? wait_for_device(m, err) : 0;
		if (ret)
			break;
		list_experts(t, &m->layers[t->layer], t->ids + choice, op->used);
		ret = run_whole(m, &one, err);
	}
	return ret;
}

/*
 * The next wave's end: those that are there by now, and at least one.  A device that runs what is
 * recorded later gets two waves of what there is room for, as each costs it something.
 */
static int wait_for_wave(const struct stoker_model *m, uint32_t begin, uint32_t *end,
			 struct stoker_error *err)
{
	struct model_fetch *t = m->fetch;
	const bool all = !m->device->runs_at_once && begin;
	int ret = 0;

	for (*end = begin; *end < t->acquired && !ret; ++*end) {
		if (*end > begin && !all && !pager_ready(t->pager, t->layer, t->list[*end]))
			break;
		ret = pager_get(t->pager, t->layer, t->list[*end], &t->chosen[*end].at, err);
	}
	return ret;
}

/* Computes experts while others load, as many at a time as there is room for. */
static int run_waves(const struct stoker_model *m, const struct op_experts *op,
		     struct stoker_error *err)
{
	struct model_fetch *t = m->fetch;
	int ret;

	for (uint32_t begin = 0, end; begin < t->count; begin = end) {
		if (t->acquired < t->count)
			acquire(t);
		if (t->acquired == begin) { /* the device still computes with all there is */
			ret = wait_for_device(m, err);
			if (ret || !acquire(t))
				return ret ? ret : no_room(t, err);
		}
		ret = wait_for_wave(m, begin, &end, err);
		if (ret)
			return ret;
		compute(m, op, begin, end);
		if (!m->device->runs_at_once)
			ret = end < t->count ? m->device->ops->flush(m->device, err)
					     : wait_for_device(m, err);
		if (ret)
			return ret;
	}
	return 0;
}

int model_fetch_experts(const struct forward *f, const struct op_experts *op, uint32_t il,
			struct stoker_error *err)
{
	const struct stoker_model *m = f->model;
	struct model_fetch *t = m->fetch;
	int ret = visit(f, il, op->ids, err);

	if (ret)
		return ret;
	t->layer = il;
	list_experts(t, &m->layers[il], t->ids, op->rows * op->used);
	if (op->rows > m->device->whole_rows)
		return run_waves(m, op, err);
	if (t->count <= pager_room(t->pager, il))
		return run_whole(m, op, err);
	return run_rows(f, op, err);
}
