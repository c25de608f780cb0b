// SPDX-License-Identifier: MIT
/* Reads of experts into slots: sent, taken in, taken back. */
#include "pager/internal.h"

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
	s->todo = s->undone = s->complete = 0;
	s->steps_began = 0;
	s->prefetched = false;
}

/* A read that was taken back or failed before anyone wanted it; it may be made up for later. */
static void leave_unread(struct store_read *r)
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
	tell_waiting(p);
}

/* So many aren't under way any more. */
static void end_reads(struct stoker_pager *p, size_t count)
{
	p->reading -= count;
	if (count && !p->reading)
		p->stats.reading_ns += stoker_now_ns() - p->reading_since;
}

static void take_read(struct stoker_pager *p, struct store_read *r)
{
	struct slot *s = r->owner;
	const uint32_t slices = s->covers[r - s->reads];

	if (!r->result) {
		s->pending--;
		s->complete |= slices;
		p->stats.bytes += r->bytes;
		if (r->priority == STORE_PREFETCH)
			p->stats.prefetched_bytes += r->bytes;
		add_steps(s, slices);
	} else if (!s->users && (!s->failed || s->failed == -ECANCELED)) {
		leave_unread(r); /* whoever wants it reads it again and gets the error */
	} else {
		s->pending--;
		if (!s->failed)
			s->failed = r->result;
	}
}

/* What was read of a file that another program has written to may be anything. */
static void doubt_changed(struct store_read **reads, size_t count)
{
	const struct store_file *last = NULL;
	bool changed = false;

	for (size_t i = 0; i < count; i++) {
		const struct store_file *f = reads[i]->file;

		if (f != last)
			changed = f->opened && file_has_changed(f->plain, f->opened);
		last = f;
		if (changed && !reads[i]->result)
			reads[i]->result = -ESTALE;
	}
}

static void take_reads(struct stoker_pager *p, struct store_read **reads, size_t count)
{
	const uint64_t now = profile_now(p->profile);

	end_reads(p, count);
	doubt_changed(reads, count);
	for (size_t i = 0; i < count; i++) {
		if (now)
			profile_add(p->profile, PROFILE_READS,
				    reads[i]->priority == STORE_PREFETCH ? "prefetch" : "read",
				    NULL, reads[i]->sent_ns, now);
		take_read(p, reads[i]);
	}
	if (count)
		tell_waiting(p);
}

void take_completions(struct stoker_pager *p)
{
	struct store_read *done[32];
	const uint64_t began = stoker_now_ns();

	if (p->reaping || !p->reading)
		return;
	const size_t count = p->store->ops->complete(p->store, done, ARRAY_SIZE(done), false);

	p->stats.store_ns += stoker_now_ns() - began;
	take_reads(p, done, count);
}

bool wait_for_reads(struct stoker_pager *p)
{
	struct store_read *done[32];
	size_t count;

	if (p->reaping || !p->reading)
		return false;
	p->reaping = true;
	pthread_mutex_unlock(&p->lock);
	count = p->store->ops->complete(p->store, done, ARRAY_SIZE(done), true);
	pthread_mutex_lock(&p->lock);
	p->reaping = false;
	take_reads(p, done, count);
	tell_waiting(p); /* someone has to wait for the others */
	return true;
}

void withdraw_prefetched(struct stoker_pager *p)
{
	struct store_read *reads[32];
	size_t count;

	do {
		count = p->store->ops->withdraw(p->store, reads, ARRAY_SIZE(reads));
		end_reads(p, count);
		for (size_t i = 0; i < count; i++) {
			struct slot *s = reads[i]->owner;

			if (s->users) /* wanted by now */
				send_reads(p, &reads[i], 1, STORE_DEMAND);
			else if (s->failed && s->failed != -ECANCELED)
				s->pending--; /* all of it is read again */
			else
				leave_unread(reads[i]);
		}
	} while (count);
}

/* Room for a slice at @at of the slot; whether it needs a read of its own. */
static bool place_slice(struct slot *s, int i, uint64_t at, struct store_read *last)
{
	const struct pager_slice *slice = &s->layer->source.slice[i];
	const struct pager_piece piece =
		slice->pieces ? slice->pieces[s->expert]
			      : (struct pager_piece){ .file = slice->file,
						      .offset = slice->offset +
								s->expert * slice->stride };
	const uint64_t first = piece.offset;
	const uint64_t begin = first / STOKER_STORE_ALIGN * STOKER_STORE_ALIGN;
	struct store_read *r = &s->reads[i];

	/* behind the one before, or in its last block: one read for both */
	if (last && last->file == piece.file && first >= last->offset &&
	    begin <= last->offset + last->bytes) {
		last->need = MAX(last->need, first + slice->bytes - last->offset);
		last->bytes = round_up(last->need, STOKER_STORE_ALIGN);
		s->inner[i] = (uint64_t)((uint8_t *)last->dst - s->memory) + first - last->offset;
		s->covers[last - s->reads] |= 1u << i;
		r->result = 0;
		return false;
	}
	*r = (struct store_read){
		.file = piece.file,
		.offset = begin,
		.bytes = round_up(first + slice->bytes - begin, STOKER_STORE_ALIGN),
		.need = first + slice->bytes - begin,
		.dst = s->memory + at,
		.owner = s,
	};
	s->inner[i] = at + (first - begin);
	s->covers[i] = 1u << i;
	return true;
}

uint32_t fill_slot(struct slot *s, struct pager_layer *l, uint32_t expert,
		   struct store_read **reads)
{
	struct store_read *last = NULL;
	uint64_t at = 0;
	uint32_t count = 0;

	s->layer = l;
	s->expert = expert;
	l->resident[expert] = s;
	l->held++;
	for (int i = 0; i < PAGER_SLICES; i++) {
		if (!l->source.slice[i].bytes)
			continue;
		if (place_slice(s, i, at, last))
			reads[count++] = last = &s->reads[i];
		at += slice_room(&l->source.slice[i]);
	}
	s->pending = count;
	return count;
}

uint32_t read_rest(struct slot *s, struct store_read **reads)
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

/* What callers of stoker_session_eval() take for something else than a drive's failure. */
static bool has_meaning(int code)
{
	return code == -EINVAL || code == -ENOSPC || code == -ECANCELED;
}

int read_failed(const struct slot *s, struct stoker_error *err)
{
	const struct store_read *bad = &s->reads[0];
	/* such a file is broken; whatever else happened the caller may tell apart */
	const char *broken = s->failed == -ENODATA  ? "the file has become shorter"
			     : s->failed == -ESTALE ? "the file has changed since it was opened"
						    : NULL;
	const int code = broken || has_meaning(s->failed) ? -EIO : s->failed;

	for (int i = 0; i < PAGER_SLICES; i++)
		if (s->layer->source.slice[i].bytes && s->reads[i].result)
			bad = &s->reads[i];
	return stoker_fail(err, code, "%s: expert %u of layer %u: reading %llu bytes at %llu: %s",
			   bad->file->path, s->expert, s->layer->number,
			   (unsigned long long)bad->need, (unsigned long long)bad->offset,
			   broken ? broken : stoker_strerror(-s->failed));
}
