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

/* What steps work on at this moment. */
static struct {
	pthread_mutex_t lock;
	struct {
		const uint8_t *begin, *end;
	} ranges[64];
	unsigned clashes;
} busy = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Counts a clash when something else works on these bytes. */
static void look_at(const void *at, uint64_t bytes)
{
	const uint8_t *begin = at, *end = begin + bytes;

	for (size_t i = 0; i < ARRAY_SIZE(busy.ranges); i++)
		busy.clashes += begin < busy.ranges[i].end && busy.ranges[i].begin < end;
}

static void check_idle(const void *at, uint64_t bytes)
{
	pthread_mutex_lock(&busy.lock);
	look_at(at, bytes);
	pthread_mutex_unlock(&busy.lock);
}

static size_t begin_work(const void *at, uint64_t bytes)
{
	size_t i = 0;

	pthread_mutex_lock(&busy.lock);
	look_at(at, bytes);
	while (i + 1 < ARRAY_SIZE(busy.ranges) && busy.ranges[i].begin)
		i++;
	busy.clashes += busy.ranges[i].begin != NULL;
	busy.ranges[i].begin = at;
	busy.ranges[i].end = busy.ranges[i].begin + bytes;
	pthread_mutex_unlock(&busy.lock);
	return i;
}

static void end_work(size_t i)
{
	pthread_mutex_lock(&busy.lock);
	busy.ranges[i].begin = busy.ranges[i].end = NULL;
	pthread_mutex_unlock(&busy.lock);
}

static void clash(void)
{
	pthread_mutex_lock(&busy.lock);
	busy.clashes++;
	pthread_mutex_unlock(&busy.lock);
}

unsigned count_clashes(void)
{
	unsigned count;

	pthread_mutex_lock(&busy.lock);
	count = busy.clashes;
	busy.clashes = 0;
	pthread_mutex_unlock(&busy.lock);
	return count;
}

/* Around all uses: several at a time are for stores that allow it. */
static void enter(struct fake_store *f)
{
	if (atomic_fetch_add(&f->inside, 1) && !f->base.ops->concurrent)
		f->misuse++;
	pthread_mutex_lock(&f->lock);
}

static void leave(struct fake_store *f)
{
	pthread_mutex_unlock(&f->lock);
	atomic_fetch_sub(&f->inside, 1);
}

static struct store_read *remove_read(struct fake_store *f, size_t i)
{
	struct store_read *r = f->pending[i];

	f->pending[i] = f->pending[--f->count];
	f->due[i] = f->due[f->count];
	return r;
}

static void fake_submit(struct stoker_store *s, struct store_read **reads, size_t count,
			enum store_priority priority)
{
	struct fake_store *f = (struct fake_store *)s;

	enter(f);
	for (size_t i = 0; i < count; i++) {
		CU_ASSERT_FATAL(f->count < FAKE_MAX);
		check_idle(reads[i]->dst, reads[i]->bytes);
		/* until it's complete the memory may hold anything */
		memset(reads[i]->dst, 0xee, reads[i]->bytes);
		reads[i]->priority = priority;
		f->due[f->count] =
			f->slow_us ? stoker_now_ns() + 1000 * (fake_random(f) % f->slow_us) : 0;
		if (f->holds && priority == STORE_PREFETCH)
			f->due[f->count] = UINT64_MAX;
		f->pending[f->count++] = reads[i];
	}
	leave(f);
}

/* Some that are prefetched have begun, others not. */
static size_t fake_withdraw(struct stoker_store *s, struct store_read **out, size_t max)
{
	struct fake_store *f = (struct fake_store *)s;
	size_t count = 0;

	enter(f);
	for (size_t i = f->count; i-- > 0 && count < max;)
		if (f->pending[i]->priority == STORE_PREFETCH && !f->holds && fake_random(f) % 2)
			out[count++] = remove_read(f, i);
	leave(f);
	return count;
}

static void end_read(struct fake_store *f, struct store_read *r)
{
	check_idle(r->dst, r->bytes);
	r->result = f->failing && fake_random(f) % f->failing == 0 ? f->error : 0;
	for (uint64_t b = 0; b < r->bytes && !r->result; b++)
		((uint8_t *)r->dst)[b] = content(r->offset + b);
}

/* One that has ended by now, NULL: none has. */
static struct store_read *next_read(struct fake_store *f)
{
	const uint64_t now = f->slow_us || f->holds ? stoker_now_ns() : 1;
	const size_t first = fake_random(f) % f->count;

	for (size_t i = 0; i < f->count; i++)
		if (f->due[(first + i) % f->count] <= now)
			return remove_read(f, (first + i) % f->count);
	return NULL;
}

/* With the lock. */
static bool let_go(struct fake_store *f)
{
	const bool held = f->holds;

	f->holds = false;
	memset(f->due, 0, sizeof(f->due));
	return held;
}

static size_t fake_complete(struct stoker_store *s, struct store_read **out, size_t max, bool wait)
{
	struct fake_store *f = (struct fake_store *)s;
	const uint64_t patience = stoker_now_ns() + 10000000000;
	size_t count = 0;

	enter(f);
	if (f->completing++)
		f->misuse++;
	while (f->count && count < max && ((wait && !count) || fake_random(f) % 3)) {
		struct store_read *r = next_read(f);

		if (r) {
			end_read(f, r);
			out[count++] = r;
			continue;
		}
		if (!wait || count)
			break;
		/* whoever waits for what nobody needs is let go, as failed */
		if (f->holds && stoker_now_ns() > patience) {
			f->misuse++;
			let_go(f);
		}
		pthread_mutex_unlock(&f->lock);
		usleep(50);
		pthread_mutex_lock(&f->lock);
	}
	f->completing--;
	leave(f);
	return count;
}

bool fake_store_let_go(struct fake_store *f)
{
	bool held;

	pthread_mutex_lock(&f->lock);
	held = let_go(f);
	pthread_mutex_unlock(&f->lock);
	return held;
}

static void fake_destroy(struct stoker_store *s)
{
	struct fake_store *f = (struct fake_store *)s;

	CU_ASSERT_EQUAL(f->misuse, 0);
	CU_ASSERT_EQUAL(count_clashes(), 0);
	pthread_mutex_destroy(&f->lock);
	free(f);
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

/* What every step begins with: its number. */
static unsigned begin_step(struct steps *steps)
{
	const bool other = !pthread_equal(steps->user, pthread_self());
	const unsigned n = atomic_fetch_add(&steps->count, 1);

	atomic_fetch_add(&steps->by_others, other);
	steps->began[other] = true;
	for (int i = 0; i < 100000 && steps->meet && !steps->began[!other]; i++)
		usleep(100);
	for (int i = 0; i < 100000 && !other && steps->count < steps->last; i++)
		usleep(100);
	if (steps->slow_us || (other && steps->others_us))
		usleep(steps->slow_us + (other ? steps->others_us : 0));
	return n;
}

static bool step_fails(const struct steps *steps, unsigned n)
{
	return steps->failing && n * 2654435761u / 65536 % steps->failing == 0;
}

/* Doing it twice undoes it. */
int fake_prepare(void *context, const void *shape, void *bytes, uint32_t part, uint32_t parts,
		 struct stoker_error *err)
{
	struct steps *steps = context;
	const uint64_t all = shape ? *(const uint64_t *)shape : 0;
	const uint64_t begin = all * part / parts, end = all * (part + 1) / parts;
	const size_t work = begin_work((uint8_t *)bytes + begin, end - begin);
	const unsigned n = begin_step(steps);
	const bool fails = step_fails(steps, n);

	if (!shape)
		clash();
	for (uint64_t i = begin; i < end && !fails; i++)
		((uint8_t *)bytes)[i] ^= PREPARED;
	end_work(work);
	return fails ? stoker_fail(err, -ENOMEM, "no memory to lay out an expert") : 0;
}

int fake_prepare_whole(void *context, const void *shape, void *bytes, struct stoker_error *err)
{
	return fake_prepare(context, shape, bytes, 0, 1, err);
}

int fake_copy(void *context, stoker_address dst, const void *src, uint64_t bytes,
	      struct stoker_error *err)
{
	void *to = (void *)(uintptr_t)dst;
	const size_t from = begin_work(src, bytes), work = begin_work(to, bytes);
	const bool fails = step_fails(context, begin_step(context));

	if (!fails)
		memcpy(to, src, bytes);
	end_work(work);
	end_work(from);
	return fails ? stoker_fail(err, -EIO, "the copy of an expert was lost") : 0;
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
