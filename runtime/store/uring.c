// SPDX-License-Identifier: MIT
/* Reads through io_uring: a deep queue of direct reads. */
#include <liburing.h>
#include <pthread.h>
#include <unistd.h>

#include "store/queue.h"

enum { DEPTH = 64, PREFETCH_DEPTH = 8, READ_MAX = 1 << 30 };

struct uring {
	struct stoker_store base;
	pthread_mutex_t lock; /* of all but waiting and reading */
	struct io_uring ring;
	struct store_queue waiting[2]; /* by priority */
	unsigned in_flight, demand;    /* the latter waiting or in flight */
	struct iovec pinned;	       /* registered memory, if any */
};

/* Hands the kernel what is in its queue; what it's too short of memory for now stays there. */
static int send_off(struct uring *u)
{
	int sent;

	do
		sent = io_uring_submit(&u->ring);
	while (sent == -EINTR);
	return sent;
}

static void prepare(const struct uring *u, struct io_uring_sqe *sqe, struct store_read *r)
{
	uint8_t *dst = (uint8_t *)r->dst + r->done;
	const unsigned bytes = (unsigned)MIN(r->bytes - r->done, (uint64_t)READ_MAX);

	if ((uintptr_t)dst - (uintptr_t)u->pinned.iov_base < u->pinned.iov_len)
		io_uring_prep_read_fixed(sqe, r->file->fd, dst, bytes, r->offset + r->done, 0);
	else
		io_uring_prep_read(sqe, r->file->fd, dst, bytes, r->offset + r->done);
	io_uring_sqe_set_data(sqe, r);
}

/* Fills the kernel's queue from ours. */
static void feed(struct uring *u)
{
	unsigned queued = 0;

	while (u->in_flight + queued < DEPTH) {
		struct store_read *r = store_pop(&u->waiting[STORE_DEMAND]);
		struct io_uring_sqe *sqe;

		if (!r && !u->demand && u->in_flight + queued < PREFETCH_DEPTH)
			r = store_pop(&u->waiting[STORE_PREFETCH]);
		if (!r)
			break;
		sqe = io_uring_get_sqe(&u->ring); /* DEPTH entries, so there is one */
		prepare(u, sqe, r);
		queued++;
	}
	u->in_flight += queued;
	if (queued)
		send_off(u);
}

static void submit(struct stoker_store *s, struct store_read **reads, size_t count,
		   enum store_priority priority)
{
	struct uring *u = (struct uring *)s;

	pthread_mutex_lock(&u->lock);
	store_push_new(&u->waiting[priority], reads, count, priority);
	u->demand += priority == STORE_DEMAND ? (unsigned)count : 0;
	feed(u);
	pthread_mutex_unlock(&u->lock);
}

/* What a direct read is refused is read without; gives up the lock meanwhile. */
static int read_plainly(struct uring *u, const struct store_read *r)
{
	ssize_t n;
	int error;

	pthread_mutex_unlock(&u->lock);
	n = pread(r->file->plain, (uint8_t *)r->dst + r->done, r->bytes - r->done,
		  (off_t)(r->offset + r->done));
	error = errno;
	pthread_mutex_lock(&u->lock);
	return n < 0 ? -error : (int)MIN(n, (ssize_t)READ_MAX);
}

/* What came of one read; true when it has ended. */
static bool take(struct uring *u, struct store_read *r, int result)
{
	if (store_is_refused(result))
		result = read_plainly(u, r);
	if (result == -EINTR || result == -EAGAIN) {
		store_push(&u->waiting[r->priority], r);
		return false;
	}
	if (result < 0) {
		r->result = result;
		return true;
	}
	r->done += (uint64_t)result;
	if (result == 0 || r->done >= r->need) {
		r->result = store_read_short(r);
		return true;
	}
	store_push(&u->waiting[r->priority], r); /* a short read: the rest of it */
	return false;
}

/* The next completion; @wait gives up the lock meanwhile. */
static int next_completion(struct uring *u, bool wait, struct io_uring_cqe **cqe)
{
	int result = io_uring_peek_cqe(&u->ring, cqe);

	if (result != -EAGAIN || !wait)
		return result;
	pthread_mutex_unlock(&u->lock);
	result = io_uring_wait_cqe(&u->ring, cqe);
	pthread_mutex_lock(&u->lock);
	return result;
}

/* Until the kernel may have more memory. */
static void wait_briefly(struct uring *u)
{
	pthread_mutex_unlock(&u->lock);
	usleep(1000);
	pthread_mutex_lock(&u->lock);
}

static size_t complete(struct stoker_store *s, struct store_read **out, size_t max, bool wait)
{
	struct uring *u = (struct uring *)s;
	size_t count = 0;

	pthread_mutex_lock(&u->lock);
	while (count < max && u->in_flight) {
		struct io_uring_cqe *cqe;
		struct store_read *r;
		int result;

		if (io_uring_sq_ready(&u->ring) && send_off(u) < 0 &&
		    io_uring_sq_ready(&u->ring) == u->in_flight) {
			wait_briefly(u); /* nothing under way that could be waited for */
			continue;
		}
		result = next_completion(u, wait && !count, &cqe);
		if (result == -EINTR)
			continue;
		if (result)
			break;
		r = io_uring_cqe_get_data(cqe);
		result = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
		u->in_flight--;
		if (take(u, r, result)) {
			u->demand -= r->priority == STORE_DEMAND;
			out[count++] = r;
		}
		feed(u);
	}
	pthread_mutex_unlock(&u->lock);
	return count;
}

static size_t withdraw(struct stoker_store *s, struct store_read **out, size_t max)
{
	struct uring *u = (struct uring *)s;
	size_t count;

	pthread_mutex_lock(&u->lock);
	count = store_pop_some(&u->waiting[STORE_PREFETCH], out, max);
	pthread_mutex_unlock(&u->lock);
	return count;
}

static int register_memory(struct stoker_store *s, void *memory, uint64_t bytes,
			   struct stoker_error *err)
{
	struct uring *u = (struct uring *)s;
	const struct iovec all = { memory, bytes };
	const int ret = io_uring_register_buffers(&u->ring, &all, 1);
	char human[16];

	if (ret)
		return stoker_fail(err, ret, "io_uring: registering %s: %s",
				   stoker_human_size(bytes, human), strerror(-ret));
	u->pinned = all;
	return 0;
}

static void destroy(struct stoker_store *s)
{
	struct uring *u = (struct uring *)s;
	struct store_read *read;

	u->waiting[STORE_DEMAND].first = u->waiting[STORE_PREFETCH].first = NULL;
	while (u->in_flight)
		complete(s, &read, 1, true);
	io_uring_queue_exit(&u->ring);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

static const struct stoker_store_ops uring_ops = {
	.name = "uring",
	.destroy = destroy,
	.submit = submit,
	.complete = complete,
	.withdraw = withdraw,
	.concurrent = true,
	.register_memory = register_memory,
};

int stoker_store_open_uring(struct stoker_store **store, struct stoker_error *err)
{
	struct uring *u = calloc(1, sizeof(*u));
	int ret;

	*store = NULL;
	if (!u)
		return stoker_fail(err, -ENOMEM, "out of memory");
	ret = io_uring_queue_init(DEPTH, &u->ring, 0);
	if (ret) {
		free(u);
		return stoker_fail(err, -ENOTSUP, "io_uring isn't allowed here: %s",
				   strerror(-ret));
	}
	pthread_mutex_init(&u->lock, NULL);
	u->base.ops = &uring_ops;
	*store = &u->base;
	return 0;
}
