// SPDX-License-Identifier: MIT
/* A store without a drive, devices that only have memory, steps that can be done only once. */
#include "fakes.h"

#include <unistd.h>

static uint32_t fake_random(struct fake_store *f)
{
	f->random = f->random * 1664525 + 1013904223;
	return f->random >> 8;
}

/* What a file holds at @offset. */
static uint8_t content(uint64_t offset)
{
	return (uint8_t)(offset * 2654435761u >> 13);
}

static void fake_submit(struct stoker_store *s, struct store_read **reads, size_t count,
			enum store_priority priority)
{
	struct fake_store *f = (struct fake_store *)s;

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < count; i++) {
		CU_ASSERT_FATAL(f->count < FAKE_MAX);
		/* until it's complete the memory may hold anything */
		memset(reads[i]->dst, 0xee, reads[i]->bytes);
		reads[i]->priority = priority;
		f->pending[f->count++] = reads[i];
	}
	pthread_mutex_unlock(&f->lock);
}

/* Some that are prefetched have begun, others not. */
static size_t fake_withdraw(struct stoker_store *s, struct store_read **out, size_t max)
{
	struct fake_store *f = (struct fake_store *)s;
	size_t count = 0;

	pthread_mutex_lock(&f->lock);
	for (size_t i = f->count; i-- > 0 && count < max;)
		if (f->pending[i]->priority == STORE_PREFETCH && fake_random(f) % 2) {
			out[count++] = f->pending[i];
			f->pending[i] = f->pending[--f->count];
		}
	pthread_mutex_unlock(&f->lock);
	return count;
}

static size_t fake_complete(struct stoker_store *s, struct store_read **out, size_t max, bool wait)
{
	struct fake_store *f = (struct fake_store *)s;
	size_t count = 0;

	pthread_mutex_lock(&f->lock);
	while (f->count && count < max && ((wait && !count) || fake_random(f) % 3)) {
		const size_t i = fake_random(f) % f->count;
		struct store_read *r = f->pending[i];

		f->pending[i] = f->pending[--f->count];
		r->result = f->failing && fake_random(f) % f->failing == 0 ? f->error : 0;
		for (uint64_t b = 0; b < r->bytes && !r->result; b++)
			((uint8_t *)r->dst)[b] = content(r->offset + b);
		out[count++] = r;
	}
	pthread_mutex_unlock(&f->lock);
	return count;
}

static void fake_destroy(struct stoker_store *s)
{
	pthread_mutex_destroy(&((struct fake_store *)s)->lock);
	free(s);
}

static const struct stoker_store_ops fake_ops = { .name = "fake",
						  .destroy = fake_destroy,
						  .submit = fake_submit,
						  .complete = fake_complete,
						  .withdraw = fake_withdraw };
static const struct stoker_store_ops concurrent_ops = { .name = "fake",
							.destroy = fake_destroy,
							.submit = fake_submit,
							.complete = fake_complete,
							.withdraw = fake_withdraw,
							.concurrent = true };

struct fake_store *fake_store_open(bool concurrent, unsigned failing, uint64_t seed)
{
	struct fake_store *f = calloc(1, sizeof(*f));

	f->base.ops = concurrent ? &concurrent_ops : &fake_ops;
	pthread_mutex_init(&f->lock, NULL);
	f->failing = failing;
	f->error = -EIO;
	f->random = (uint32_t)seed;
	return f;
}

static int plain_create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
			struct stoker_error *err)
{
	void *p = aligned_alloc(64, round_up(bytes, 64));

	(void)d;
	if (!p)
		return stoker_fail(err, -ENOMEM, "out of memory");
	*m = (struct stoker_memory){ .at = (uintptr_t)p, .bytes = bytes, .host = p };
	return 0;
}

static void plain_destroy(struct stoker_device *d, struct stoker_memory *m)
{
	(void)d;
	free(m->host);
}

/* Whoever looks at it afterwards shall see that it's gone. */
static void plain_discard(struct stoker_device *d, void *host, uint64_t bytes)
{
	(void)d;
	memset(host, 0xdd, bytes);
}

const struct stoker_device_ops plain_ops = { .memory_create = plain_create,
					     .memory_destroy = plain_destroy,
					     .discard = plain_discard };

/* Memory that the host doesn't see, or so it says. */
static int apart_create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
			struct stoker_error *err)
{
	const int ret = plain_create(d, bytes, m, err);

	m->private = m->host;
	m->host = NULL;
	return ret;
}

static void apart_destroy(struct stoker_device *d, struct stoker_memory *m)
{
	(void)d;
	free(m->private);
}

const struct stoker_device_ops apart_ops = { .memory_create = apart_create,
					     .memory_destroy = apart_destroy };

enum { PREPARED = 0x5a };

/* Doing it twice undoes it. */
int fake_prepare(void *context, const void *shape, void *bytes, uint32_t part, uint32_t parts,
		 struct stoker_error *err)
{
	struct steps *steps = context;
	const uint64_t all = *(const uint64_t *)shape;
	const unsigned n = atomic_fetch_add(&steps->count, 1);

	if (steps->slow_us)
		usleep(steps->slow_us);
	if (steps->failing && n * 2654435761u / 65536 % steps->failing == 0)
		return stoker_fail(err, -ENOMEM, "no memory to lay out an expert");
	for (uint64_t i = all * part / parts; i < all * (part + 1) / parts; i++)
		((uint8_t *)bytes)[i] ^= PREPARED;
	atomic_fetch_add(&steps->by_others, !pthread_equal(steps->user, pthread_self()));
	return 0;
}

int fake_copy(void *context, stoker_address dst, const void *src, uint64_t bytes,
	      struct stoker_error *err)
{
	struct steps *steps = context;
	const unsigned n = atomic_fetch_add(&steps->count, 1);

	if (steps->slow_us)
		usleep(steps->slow_us);
	if (steps->failing && n * 2654435761u / 65536 % steps->failing == 0)
		return stoker_fail(err, -EIO, "the copy of an expert was lost");
	memcpy((void *)(uintptr_t)dst, src, bytes);
	return 0;
}

void check_expert(const struct pager_source *l, uint32_t expert, const struct stoker_expert *at)
{
	const stoker_address place[PAGER_SLICES] = { at->gate, at->up, at->down };

	for (int i = 0; i < PAGER_SLICES; i++) {
		const struct pager_slice *s = &l->slice[i];
		const uint8_t *data = (const uint8_t *)(uintptr_t)place[i];
		bool same = true;

		for (uint64_t b = 0; b < s->bytes; b++)
			same = same && data[b] == (content(s->offset + expert * s->stride + b) ^
						   (s->shape ? PREPARED : 0));
		CU_ASSERT(same);
	}
}

void lay_out_layers(struct pager_source *layers, const struct store_file *file, uint64_t at)
{
	for (uint32_t i = 1; i < LAYERS; i++) {
		layers[i].experts = EXPERTS;
		for (int k = 0; k < PAGER_SLICES; k++) {
			const uint64_t bytes = 700 + 300 * (uint64_t)k + (i == 2 ? 9000 : 0);

			layers[i].slice[k] = (struct pager_slice){
				.file = file, .offset = at, .stride = bytes + 13, .bytes = bytes
			};
			at += EXPERTS * (bytes + 13) + 100;
		}
	}
}

void choose_shapes(struct pager_source *layers, uint64_t shapes[LAYERS][PAGER_SLICES], bool all)
{
	for (uint32_t i = 0; i < LAYERS; i++)
		for (int k = 0; k < PAGER_SLICES; k++) {
			shapes[i][k] = layers[i].slice[k].bytes;
			if (shapes[i][k] && (all || random_u32() % 3))
				layers[i].slice[k].shape = &shapes[i][k];
		}
}
