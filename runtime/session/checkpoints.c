// SPDX-License-Identifier: MIT
/* Checkpoints, see checkpoints.h: where they are, which ones a sequence has, and when. */
#include "session/checkpoints.h"

#include "session/step.h"

enum {
	BLOCK_BYTES = 256 << 20,  /* of checkpoints that are allocated together */
	OFTEN = 4 * KV_PAGE_ROWS, /* positions between two while tokens come one by one */
};

static int create_blocks(struct stoker_device *d, uint64_t bytes, struct checkpoints *c,
			 struct stoker_error *err)
{
	const uint64_t most = MIN(d->max_memory, (uint64_t)BLOCK_BYTES);
	const uint32_t together = (uint32_t)MAX(most / bytes, (uint64_t)1);
	int ret = 0;

	c->all = calloc(c->count, sizeof(*c->all));
	c->blocks = calloc(c->count / together + 1, sizeof(*c->blocks));
	if (!c->all || !c->blocks)
		return stoker_fail(err, -ENOMEM, "out of memory");
	for (uint32_t first = 0, n; first < c->count && !ret; first += n) {
		struct stoker_memory *block = &c->blocks[c->block_count];

		n = MIN(c->count - first, together);
		ret = d->ops->memory_create(d, n * bytes, block, err);
		if (ret)
			break;
		c->block_count++;
		c->bytes += block->bytes;
		for (uint32_t i = 0; i < n; i++)
			c->all[first + i].at = block->at + i * bytes;
	}
	return ret;
}

int checkpoints_create(struct stoker_device *d, const struct cache_size *size, uint32_t sequences,
		       struct checkpoints *c, struct stoker_error *err)
{
	int ret;

	*c = (struct checkpoints){ .count = cache_checkpoints(size, sequences) };
	c->each = c->count / sequences;
	if (!c->count)
		return 0;
	ret = create_blocks(d, size->slot_bytes, c, err);
	if (ret)
		checkpoints_destroy(d, c);
	return ret;
}

void checkpoints_destroy(struct stoker_device *d, struct checkpoints *c)
{
	for (size_t i = 0; i < c->block_count; i++)
		d->ops->memory_destroy(d, &c->blocks[i]);
	free(c->blocks);
	free(c->all);
	*c = (struct checkpoints){ 0 };
}

struct checkpoint *checkpoint_get(struct checkpoint *c)
{
	c->users++;
	return c;
}

void checkpoint_put(struct checkpoint *c)
{
	assert(c->users > 0);
	c->users--;
}

struct checkpoint *checkpoint_before(const struct sequence *q, uint32_t position)
{
	const struct checkpoint_list *l = &q->checkpoints;

	for (uint32_t i = l->count; i > 0; i--)
		if (l->of[i - 1]->position <= position)
			return l->of[i - 1];
	return NULL;
}

struct checkpoint *checkpoint_at(const struct sequence *q, uint32_t position)
{
	struct checkpoint *c = checkpoint_before(q, position);

	return c && c->position == position ? c : NULL;
}

void checkpoints_cut(struct sequence *q, uint32_t position)
{
	struct checkpoint_list *l = &q->checkpoints;

	while (l->count && l->of[l->count - 1]->position > position)
		checkpoint_put(l->of[--l->count]);
}

void checkpoints_share(const struct sequence *from, struct sequence *q)
{
	q->checkpoints = from->checkpoints;
	for (uint32_t i = 0; i < q->checkpoints.count; i++)
		checkpoint_get(q->checkpoints.of[i]);
}

/*
 * Drops the one that is missed least: between two others that are near each other, and far from the
 * end: sequences seldom go back there.  The last one only where there is no other.
 */
static void drop_one(struct checkpoint_list *l, uint32_t position)
{
	uint32_t least = 0;
	uint64_t least_gap = UINT32_MAX, least_way = 1;

	for (uint32_t i = 0; i + 1 < l->count; i++) {
		const uint64_t gap = l->of[i + 1]->position - (i ? l->of[i - 1]->position : 0);
		const uint64_t way = position - l->of[i]->position + 1;

		if (gap * least_way < least_gap * way) {
			least = i;
			least_gap = gap;
			least_way = way;
		}
	}
	checkpoint_put(l->of[least]);
	l->count--;
	memmove(l->of + least, l->of + least + 1, (l->count - least) * sizeof(struct checkpoint *));
}

static struct checkpoint *find_unused(const struct checkpoints *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (!c->all[i].users)
			return &c->all[i];
	return NULL;
}

struct checkpoint *checkpoint_spare(struct step *s)
{
	struct checkpoint *c;

	while (!(c = find_unused(&s->checkpoints)) && prefix_drop_checkpoint(&s->prefix))
		;
	return c;
}

struct checkpoint *checkpoint_add(struct step *s, struct sequence *q, uint32_t position)
{
	struct checkpoint_list *l = &q->checkpoints;
	struct checkpoint *c;

	assert(!l->count || l->of[l->count - 1]->position < position);
	if (!s->checkpoints.each)
		return NULL;
	if (l->count == s->checkpoints.each)
		drop_one(l, position);
	while (!(c = checkpoint_spare(s))) {
		if (!l->count)
			return NULL;
		drop_one(l, position); /* which may be others', too */
	}
	c->position = position;
	c->passing = false;
	l->of[l->count++] = checkpoint_get(c);
	return c;
}

int checkpoint_take(struct step *s, struct sequence *q, uint32_t position, struct stoker_error *err)
{
	struct checkpoint_list *l = &q->checkpoints;
	const struct checkpoint *c;
	int ret;

	if (position == 0 || checkpoint_at(q, position))
		return 0;
	c = checkpoint_add(s, q, position);
	if (!c)
		return 0;
	ret = pages_copy(s->model->device, c->at, sequence_slot(s, q), s->pages.size.slot_bytes,
			 err);
	if (ret)
		checkpoint_put(l->of[--l->count]);
	return ret;
}

void checkpoint_apply(struct checkpoint *c, struct sequence *q)
{
	struct checkpoint_list *l = &q->checkpoints;

	q->lost = true;
	if (checkpoint_at(q, c->position))
		return;
	assert(!l->count || l->of[l->count - 1]->position < c->position);
	if (l->count == ARRAY_SIZE(l->of))
		drop_one(l, c->position);
	l->of[l->count++] = checkpoint_get(c);
}

/* Where prompts and messages begin, and what is tried to see whether it is right. */
bool checkpoint_is_due(const struct step *s, uint32_t first, uint32_t rows)
{
	return s->recurrent && rows > 1 && first > 0 && !(s->for_others && first % KV_PAGE_ROWS);
}

bool checkpoint_is_due_behind(const struct step *s, uint32_t first, uint32_t rows)
{
	const uint32_t end = first + rows;

	if (!s->recurrent || (s->for_others && rows == 1))
		return false;
	return end % (rows > 1 ? KV_PAGE_ROWS : OFTEN) == 0;
}

uint32_t checkpoint_rows(const struct step *s, uint32_t position, uint32_t rows, bool last)
{
	const uint32_t page = (position + rows - last) / KV_PAGE_ROWS * KV_PAGE_ROWS;

	if (!s->recurrent || page < position + KV_PAGE_ROWS)
		return rows;
	/* with experts on the drive each step reads many of them: going back further costs less */
	return last && s->model->paged ? rows : page - position;
}
