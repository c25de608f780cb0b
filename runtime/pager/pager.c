// SPDX-License-Identifier: MIT
/* Experts wanted, read, given out and released: see pager.h. */
#include "base/profile.h"
#include "pager/internal.h"

/* Wanted by nobody and complete, so that it may hold something else. */
static bool is_free(const struct slot *s)
{
	return !s->users && !s->pending;
}

/* ... and not among those that are wanted right now. */
static bool is_spare(const struct slot *s)
{
	return is_free(s) && !(s->layer && s->wave == s->layer->pager->waves);
}

/* Whether a slot waits for reads that nobody wants any more. */
static bool has_abandoned(const struct slot_class *c)
{
	for (const struct slot *s = c->oldest; s; s = s->newer)
		if (!s->users && s->pending)
			return true;
	return false;
}

void forget_slot(struct slot *s)
{
	if (s->layer) {
		s->layer->resident[s->expert] = NULL;
		s->layer->held--;
	}
	if (s->copy)
		s->copy->of = NULL;
	s->copy = NULL;
	s->layer = NULL;
	s->failed = 0;
	s->unread = 0;
	s->foreseen = false;
}

/* --- reads ---------------------------------------------------------------------------------------
 */

void leave_unread(struct store_read *r)
{
	struct slot *s = r->owner;

	s->pending--;
	s->unread |= 1u << (r - s->reads);
	s->failed = -ECANCELED;
	unlink_slot(s->layer->class, s);
	make_oldest(s->layer->class, s);
}

void send_reads(struct stoker_pager *p, struct store_read **reads, size_t count,
		enum store_priority priority)
{
	const uint64_t began = stoker_now_ns();

	if (!count)
		return;
	for (size_t i = 0; i < count; i++)
		reads[i]->sent_ns = began;
	if (!p->reading)
		p->reading_since = began;
	p->reading += count;
	p->store->ops->submit(p->store, reads, count, priority);
	p->stats.store_ns += stoker_now_ns() - began;
}

void end_reads(struct stoker_pager *p, size_t count)
{
	p->reading -= count;
	if (count && !p->reading)
		p->stats.reading_ns += stoker_now_ns() - p->reading_since;
}

static void take_completions(struct stoker_pager *p, bool wait)
{
	struct store_read *done[32];
	const uint64_t began = wait ? 0 : stoker_now_ns();
	const size_t count = p->store->ops->complete(p->store, done, ARRAY_SIZE(done), wait);

	p->stats.store_ns += wait ? 0 : stoker_now_ns() - began;
	end_reads(p, count);
	const uint64_t now = profile_now(p->device->profile);

	for (size_t i = 0; i < count; i++) {
		struct store_read *r = done[i];
		struct slot *s = r->owner;

		profile_add(p->device->profile, PROFILE_READS,
			    r->priority == STORE_PREFETCH ? "prefetch" : "read", NULL, r->sent_ns,
			    now);
		if (!r->result) {
			s->pending--;
			p->stats.bytes += r->bytes;
			if (r->priority == STORE_PREFETCH)
				p->stats.foreseen_bytes += r->bytes;
		} else if (!s->users && (!s->failed || s->failed == -ECANCELED)) {
			leave_unread(r); /* whoever wants it reads it again and gets the error */
		} else {
			s->pending--;
			if (!s->failed)
				s->failed = r->result;
		}
	}
}

uint32_t fill_slot(struct slot *s, struct pager_layer *l, uint32_t expert,
		   struct store_read **reads)
{
	struct store_read *last = NULL;
	uint64_t at = 0;
	uint32_t count = 0;

	s->layer = l;
	s->expert = expert;
	s->tiled = 0;
	l->resident[expert] = s;
	l->held++;
	for (int i = 0; i < PAGER_SLICES; i++) {
		const struct pager_slice *slice = &l->place.slice[i];
		const uint64_t first = slice->offset + expert * slice->stride;
		const uint64_t begin = first / STOKER_STORE_ALIGN * STOKER_STORE_ALIGN;
		struct store_read *r = &s->reads[i];

		if (!slice->bytes)
			continue;
		/* behind the one before, or in its last block: one read for both */
		if (last && last->file == slice->file && first >= last->offset &&
		    begin <= last->offset + last->bytes) {
			last->need = MAX(last->need, first + slice->bytes - last->offset);
			last->bytes = round_up(last->need, STOKER_STORE_ALIGN);
			s->inner[i] =
				(uint64_t)((uint8_t *)last->dst - s->memory) + first - last->offset;
			r->result = 0;
			at += slice_room(slice);
			continue;
		}
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
		last = r;
	}
	s->pending = count;
	return count;
}

/* The reads of a slot that were taken back, once more. */
static uint32_t read_rest(struct slot *s, struct store_read **reads)
{
	uint32_t count = 0;

	for (int i = 0; i < PAGER_SLICES; i++)
		if (s->unread & 1u << i)
			reads[count++] = &s->reads[i];
	s->pending += count;
	s->unread = 0;
	s->failed = s->failed == -ECANCELED ? 0 : s->failed;
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

/* --- the source of one layer's experts -----------------------------------------------------------
 */

/* A slot that may hold something else, after waiting for one if need be; NULL: all are in use. */
static struct slot *find_room(struct pager_layer *l)
{
	struct slot *s = choose_victim(l, is_spare);

	if (!s)
		s = choose_victim(l, is_free);
	/* what was begun for others and isn't needed any more becomes free */
	while (!s && has_abandoned(l->class)) {
		take_completions(l->pager, true);
		s = choose_victim(l, is_free);
	}
	return s;
}

/* The slot that holds an expert or is going to, without what failed; NULL: there is none. */
static struct slot *find_expert(struct pager_layer *l, uint32_t expert)
{
	struct slot *s = l->resident[expert];

	while (s && s->failed && s->failed != -ECANCELED && !s->users && s->pending)
		take_completions(l->pager, true);
	if (s && s->failed && s->failed != -ECANCELED && !s->users) {
		forget_slot(s); /* tried again */
		s = NULL;
	}
	return s;
}

static uint32_t want(struct stoker_expert_source *source, const uint32_t *experts, uint32_t count)
{
	struct pager_layer *l = (struct pager_layer *)source;
	struct stoker_pager *p = l->pager;
	struct store_read *reads[64 * PAGER_SLICES];
	uint32_t read_count = 0, taken = 0;

	take_completions(p, false);
	p->waves++;
	p->last = l;
	if (p->next == l)
		p->next = NULL;
	judge_foresight(l, experts, count);
	withdraw_foreseen(p);
	for (uint32_t i = 0; i < count; i++)
		if (l->resident[experts[i]])
			l->resident[experts[i]]->wave = p->waves;
	for (; taken < count && read_count + PAGER_SLICES <= ARRAY_SIZE(reads); taken++) {
		const uint32_t expert = experts[taken];
		struct slot *s = find_expert(l, expert);

		if (s && !reserve_copy(l->class, s))
			break;
		if (s) {
			p->stats.hits++;
			p->stats.foreseen_used += s->foreseen;
			s->foreseen = false;
			read_count += read_rest(s, reads + read_count);
		} else {
			s = find_room(l);
			if (!s)
				break;
			forget_slot(s);
			if (!reserve_copy(l->class, s))
				break;
			p->stats.misses++;
			read_count += fill_slot(s, l, expert, reads + read_count);
		}
		s->users++;
		s->wave = p->waves;
		count_use(l, expert);
		unlink_slot(l->class, s);
		make_newest(l->class, s);
	}
	if (read_count) {
		qsort(reads, read_count, sizeof(struct store_read *), by_place);
		send_reads(p, reads, read_count, STORE_DEMAND);
	}
	if (taken == count && p->next)
		read_foreseen(p);
	else if (taken == count && pager_scans(l))
		foresee_all(l);
	return taken;
}

static bool has(struct stoker_expert_source *source, uint32_t expert)
{
	const struct slot *s = ((struct pager_layer *)source)->resident[expert];

	return s && !s->pending && !s->failed;
}

static bool ready(struct stoker_expert_source *source, uint32_t expert)
{
	struct pager_layer *l = (struct pager_layer *)source;

	take_completions(l->pager, false);
	return l->resident[expert]->pending == 0;
}

static int read_failed(const struct pager_layer *l, const struct slot *s, struct stoker_error *err)
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

/* What was read as the device wants it. */
static int tile_slot(struct slot *s, struct stoker_error *err)
{
	struct stoker_device *d = s->layer->pager->device;

	for (int i = 0; i < PAGER_SLICES; i++) {
		const struct pager_slice *slice = &s->layer->place.slice[i];
		struct stoker_weight w;
		int ret;

		if (!slice->weight || !slice->weight->tiled || s->tiled & 1u << i)
			continue;
		w = *slice->weight;
		w.at = s->at + s->inner[i];
		w.count = 1;
		ret = d->ops->tile(d, &w, err);
		if (ret)
			return ret;
		s->tiled |= 1u << i;
	}
	return 0;
}

static int get(struct stoker_expert_source *source, uint32_t expert, struct stoker_expert *at,
	       struct stoker_error *err)
{
	struct pager_layer *l = (struct pager_layer *)source;
	struct stoker_pager *p = l->pager;
	struct slot *s = l->resident[expert];

	if (s->pending) {
		const uint64_t began = stoker_now_ns();

		while (s->pending)
			take_completions(p, true);
		const uint64_t now = stoker_now_ns();

		p->stats.stall_ns += now - began;
		profile_add(p->device->profile, PROFILE_PAGER, "wait", NULL, began, now);
	}
	if (s->failed)
		return read_failed(l, s, err);
	const uint64_t began = stoker_now_ns();
	const uint32_t before = s->tiled;
	const int ret = tile_slot(s, err);

	if (s->tiled != before)
		profile_add(p->device->profile, PROFILE_PAGER, "layout", NULL, began,
			    stoker_now_ns());
	if (ret)
		return ret;
	const stoker_address begin = s->copy ? s->copy->at : s->at;

	*at = (struct stoker_expert){
		.gate = begin + s->inner[0],
		.up = begin + s->inner[1],
		.down = begin + s->inner[2],
	};
	return bring_copy(s, err);
}

static void release(struct stoker_expert_source *source, uint32_t expert)
{
	struct pager_layer *l = (struct pager_layer *)source;
	struct slot *s = l->resident[expert];

	assert(s->users);
	s->users--;
	s->wave = s->users ? s->wave : 0;
	if (s->failed && !s->users && !s->pending) {
		forget_slot(s);
		unlink_slot(l->class, s);
		make_oldest(l->class, s);
	}
	if (l->pager->next && pager_scans(l->pager->next))
		read_foreseen(l->pager);
}

static const struct stoker_expert_source source_ops = { .has = has,
							.want = want,
							.ready = ready,
							.get = get,
							.release = release,
							.foresee = pager_foresee };

void init_source(struct pager_layer *l)
{
	l->source = source_ops;
}

struct stoker_expert_source *pager_source(struct stoker_pager *p, uint32_t layer)
{
	return p->layers[layer].place.experts ? &p->layers[layer].source : NULL;
}

struct pager_stats pager_stats(const struct stoker_pager *p)
{
	return p->stats;
}
