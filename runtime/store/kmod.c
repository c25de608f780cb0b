// SPDX-License-Identifier: MIT
/*
 * Reads by the kernel module: from the drive straight into its arenas.  It keeps the queues and
 * their priorities; here is only what it has no room for.
 */
#include "store/kmod.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/stoker.h>

#include "stoker/driver.h"
#include "store/queue.h"

enum { BATCH = 64, HUGE_ORDER = 9 };

/* Blocks of slots are few. */
struct arena {
	struct arena *next;
	struct store_arena memory;
	uint32_t handle;
};

struct kmod {
	struct stoker_store base;
	const struct kmod_calls *calls;
	int fd;
	uint64_t transfer_bytes_max;
	uint32_t align, order_max;
	struct arena *arenas;
	struct store_queue waiting[2]; /* what there was no room for, by priority */
	struct store_queue ended, withdrawn;
	unsigned in_flight; /* the module's */
};

static struct arena *arena_of(const struct kmod *k, const void *memory)
{
	for (struct arena *a = k->arenas; a; a = a->next)
		if ((uintptr_t)memory - (uintptr_t)a->memory.host < a->memory.bytes)
			return a;
	return NULL;
}

static void end(struct kmod *k, struct store_read *r, int result)
{
	r->result = result;
	store_push(&k->ended, r);
}

/* False for memory that isn't an arena's. */
static bool describe(const struct kmod *k, const struct store_read *r, struct stoker_transfer *t)
{
	const struct arena *a = arena_of(k, r->dst);

	if (!a)
		return false;
	*t = (struct stoker_transfer){
		.op = STOKER_OP_READ,
		.priority = r->priority == STORE_DEMAND ? STOKER_PRIORITY_DEMAND
							: STOKER_PRIORITY_PREFETCH,
		.arena = a->handle,
		.fd = (uint32_t)r->file->fd,
		.arena_offset = (uint64_t)((uint8_t *)r->dst - (uint8_t *)a->memory.host) + r->done,
		.file_offset = r->offset + r->done,
		.bytes = MIN(r->bytes - r->done, k->transfer_bytes_max),
		.user_data = (uintptr_t)r,
	};
	return true;
}

/* Up to BATCH of a queue; their number. */
static unsigned gather(struct kmod *k, struct store_queue *q, struct store_read **reads,
		       struct stoker_transfer *transfers)
{
	unsigned count = 0;

	while (count < BATCH && q->first) {
		struct store_read *r = store_pop(q);

		if (describe(k, r, &transfers[count]))
			reads[count++] = r;
		else
			end(k, r, -EFAULT);
	}
	return count;
}

/* Those that weren't taken on go back to the head of the queue, in their order. */
static void put_back(struct store_queue *q, struct store_read **reads, unsigned count)
{
	while (count--) {
		struct store_read *r = reads[count];

		r->next = q->first;
		if (!q->first)
			q->last = r;
		q->first = r;
	}
}

/* Hands over what waits, demand first, as much as the module has room for. */
static void feed(struct kmod *k)
{
	for (int priority = 0; priority < 2;) {
		struct store_queue *q = &k->waiting[priority];
		struct stoker_transfer transfers[BATCH];
		struct store_read *reads[BATCH];
		const unsigned count = gather(k, q, reads, transfers);
		struct stoker_submit s = { .transfers = (uintptr_t)transfers,
					   .count = count,
					   .stride = sizeof(*transfers) };

		if (!count) {
			priority++;
			continue;
		}
		if (!k->calls->command(k->fd, STOKER_IOC_SUBMIT, &s)) {
			k->in_flight += s.accepted;
			put_back(q, reads + s.accepted, count - s.accepted);
		} else if ((errno == EAGAIN || errno == ENOMEM) && k->in_flight) {
			put_back(q, reads, count); /* there will be room */
			return;
		} else {
			end(k, reads[0], -errno);
			put_back(q, reads + 1, count - 1);
		}
	}
}

static void submit(struct stoker_store *s, struct store_read **reads, size_t count,
		   enum store_priority priority)
{
	struct kmod *k = (struct kmod *)s;

	store_push_new(&k->waiting[priority], reads, count, priority);
	feed(k);
}

static void take(struct kmod *k, const struct stoker_completion *c)
{
	struct store_read *r = (struct store_read *)(uintptr_t)c->user_data;

	k->in_flight--;
	if (c->error == ECANCELED) {
		store_push(&k->withdrawn, r);
		return;
	}
	if (c->error) {
		end(k, r, -(int)c->error);
		return;
	}
	r->done += c->bytes;
	/* a short read: the rest of it, unless it stopped where only a file's end can be */
	if (c->bytes && r->done < r->need && r->done % k->align == 0)
		store_push(&k->waiting[r->priority], r);
	else
		end(k, r, store_read_short(r));
}

/* Takes in completions; with @wait at least one.  False when there can't be any. */
static bool reap(struct kmod *k, bool wait)
{
	struct stoker_completion done[BATCH];
	ssize_t n;

	if (!k->in_flight || (!wait && !k->calls->ready(k->fd)))
		return false;
	do
		n = k->calls->read(k->fd, done, sizeof(done));
	while (n < 0 && errno == EINTR);
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(*done); i++)
		take(k, &done[i]);
	feed(k);
	return n > 0;
}

static size_t complete(struct stoker_store *s, struct store_read **out, size_t max, bool wait)
{
	struct kmod *k = (struct kmod *)s;

	feed(k);
	if (!wait || k->ended.first)
		reap(k, false);
	while (wait && !k->ended.first && reap(k, true))
		; /* that takes in all there is */
	return store_pop_some(&k->ended, out, max);
}

static size_t withdraw(struct stoker_store *s, struct store_read **out, size_t max)
{
	struct kmod *k = (struct kmod *)s;
	struct stoker_cancel cancel = { .flags = STOKER_CANCEL_PREFETCH };
	size_t count = store_pop_some(&k->withdrawn, out, max);

	count += store_pop_some(&k->waiting[STORE_PREFETCH], out + count, max - count);
	if (count < max && k->in_flight && !k->calls->command(k->fd, STOKER_IOC_CANCEL, &cancel) &&
	    cancel.cancelled) {
		while (reap(k, false))
			; /* they are there by now, among others */
		count += store_pop_some(&k->withdrawn, out + count, max - count);
	}
	return count;
}

static int arena_create(struct stoker_store *s, uint64_t bytes, struct store_arena *memory,
			struct stoker_error *err)
{
	struct kmod *k = (struct kmod *)s;
	struct stoker_arena_create c = { .bytes = round_up(bytes, (uint64_t)sysconf(_SC_PAGESIZE)),
					 .node = STOKER_NODE_ANY,
					 .order = MIN(k->order_max, (uint32_t)HUGE_ORDER) };
	struct arena *a = calloc(1, sizeof(*a));
	char human[16];
	void *host;

	*memory = (struct store_arena){ .fd = -1 };
	stoker_human_size(bytes, human);
	if (!a)
		return stoker_fail(err, -ENOMEM, "out of memory");
	if (k->calls->command(k->fd, STOKER_IOC_ARENA_CREATE, &c)) {
		const int error = errno;

		free(a);
		return stoker_fail(err, -error, "%s: an arena of %s: %s%s", STOKER_DRIVER_PATH,
				   human, stoker_strerror(error),
				   error == ENOMEM ? "; see RLIMIT_MEMLOCK (ulimit -l)" : "");
	}
	host = mmap(NULL, c.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, (int)c.fd, 0);
	if (host == MAP_FAILED) {
		const int error = errno;
		struct stoker_arena_destroy d = { .handle = c.handle };

		k->calls->command(k->fd, STOKER_IOC_ARENA_DESTROY, &d);
		close((int)c.fd);
		free(a);
		return stoker_fail(err, -error, "%s: mapping an arena of %s: %s",
				   STOKER_DRIVER_PATH, human, stoker_strerror(error));
	}
	*memory = (struct store_arena){
		.host = host, .bytes = c.bytes, .fd = (int)c.fd, .runs = c.runs
	};
	*a = (struct arena){ .next = k->arenas, .memory = *memory, .handle = c.handle };
	k->arenas = a;
	return 0;
}

static void destroy(struct stoker_store *s)
{
	struct kmod *k = (struct kmod *)s;
	struct stoker_cancel cancel = { .flags = STOKER_CANCEL_PREFETCH };

	/* what has begun would go on after close(), and its arenas stay for so long */
	k->waiting[STORE_DEMAND].first = k->waiting[STORE_PREFETCH].first = NULL;
	if (k->in_flight)
		k->calls->command(k->fd, STOKER_IOC_CANCEL, &cancel);
	while (reap(k, true))
		;
	k->calls->close(k->fd);
	while (k->arenas) {
		struct arena *a = k->arenas;

		k->arenas = a->next;
		munmap(a->memory.host, a->memory.bytes);
		close(a->memory.fd);
		free(a);
	}
	free(k);
}

static const struct stoker_store_ops kmod_ops = {
	.name = "kmod",
	.destroy = destroy,
	.submit = submit,
	.complete = complete,
	.withdraw = withdraw,
	.arena_create = arena_create,
};

static int open_device(void)
{
	return open(STOKER_DRIVER_PATH, O_RDWR | O_CLOEXEC);
}

static int command(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg);
}

static int ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

static const struct kmod_calls kernel_calls = {
	.open = open_device,
	.command = command,
	.read = read,
	.ready = ready,
	.close = close,
};

int kmod_open_with(const struct kmod_calls *calls, struct stoker_store **store,
		   struct stoker_error *err)
{
	struct kmod *k = calloc(1, sizeof(*k));
	struct stoker_query q;
	int error;

	*store = NULL;
	if (!k)
		return stoker_fail(err, -ENOMEM, "out of memory");
	k->base.ops = &kmod_ops;
	k->calls = calls;
	k->fd = calls->open();
	if (k->fd < 0) {
		error = errno;
		free(k);
		return stoker_fail(err, -ENOTSUP, "%s: %s%s", STOKER_DRIVER_PATH,
				   stoker_strerror(error),
				   error == ENOENT ? "; the kernel module isn't loaded" : "");
	}
	if (calls->command(k->fd, STOKER_IOC_QUERY, &q)) {
		error = errno;
		destroy(&k->base);
		return stoker_fail(err, -ENOTSUP, "%s: %s", STOKER_DRIVER_PATH,
				   stoker_strerror(error));
	}
	k->align = q.align;
	k->order_max = q.order_max;
	k->transfer_bytes_max = q.transfer_bytes_max / STOKER_STORE_ALIGN * STOKER_STORE_ALIGN;
	if (!q.align || q.align > STOKER_STORE_ALIGN || !k->transfer_bytes_max) {
		destroy(&k->base);
		return stoker_fail(err, -ENOTSUP, "%s: alignment %u, transfers of %llu bytes",
				   STOKER_DRIVER_PATH, q.align,
				   (unsigned long long)q.transfer_bytes_max);
	}
	*store = &k->base;
	return 0;
}

int stoker_store_open_kmod(struct stoker_store **store, struct stoker_error *err)
{
	return kmod_open_with(&kernel_calls, store, err);
}

int stoker_driver_arena(uint64_t bytes, int *fd, struct stoker_error *err)
{
	struct stoker_store *store;
	struct store_arena a;
	int ret;

	if (!fd)
		return stoker_fail(err, -EINVAL, "no place for the descriptor");
	*fd = -1;
	ret = stoker_store_open_kmod(&store, err);
	if (ret)
		return ret;
	ret = arena_create(store, bytes, &a, err);
	if (!ret) {
		*fd = fcntl(a.fd, F_DUPFD_CLOEXEC, 0);
		if (*fd < 0)
			ret = stoker_fail(err, -errno, "%s", stoker_strerror(errno));
	}
	destroy(store);
	return ret;
}
