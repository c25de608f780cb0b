// SPDX-License-Identifier: MIT
/*
 * Reads through io_uring: a deep queue of direct reads.  Where the kernel stops taking them on they
 * are done one by one without it.
 */
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <unistd.h>

#include "store/queue.h"

enum {
	DEPTH = 64,
	PREFETCH_DEPTH = 8,
	READ_MAX = 1 << 30,
	PAUSE_US = 1000,
	PAUSES_MAX = 3000, /* for so long the kernel may be short of memory */
};

struct uring {
	struct stoker_store base;
	pthread_mutex_t lock; /* of all but waiting and reading */
	struct io_uring ring;
	struct store_queue waiting[2]; /* by priority */
	struct store_queue handed;     /* of those in flight, which the kernel hasn't taken yet */
	unsigned in_flight, demand;    /* the latter waiting or in flight */
	unsigned pauses;	       /* since the kernel took the last one */
	bool given_up;		       /* it takes none any more */
	struct iovec pinned;	       /* registered memory, if any */
};

/* What a system call may say now and not the next time. */
static bool is_temporary(int error)
{
	return error == -EINTR || error == -EAGAIN || error == -EBUSY || error == -ENOMEM;
}

static void give_up(struct uring *u)
{
	struct store_read *r;

	u->given_up = true;
	while ((r = store_pop(&u->handed))) {
		u->in_flight--;
		store_push(&u->waiting[r->priority], r);
	}
}

/* Hands the kernel what is in its queue; what it's too short of memory for now stays there. */
static void send_off(struct uring *u)
{
	int sent;

	do
		sent = io_uring_submit(&u->ring);
	while (sent == -EINTR);
	if (sent < 0 && !is_temporary(sent))
		give_up(u);
	for (int i = 0; i < sent; i++) {
		store_pop(&u->handed);
		u->pauses = 0;
	}
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

	while (!u->given_up && u->in_flight + queued < DEPTH) {
		struct store_read *r = store_pop(&u->waiting[STORE_DEMAND]);
		struct io_uring_sqe *sqe;

		if (!r && !u->demand && u->in_flight + queued < PREFETCH_DEPTH)
			r = store_pop(&u->waiting[STORE_PREFETCH]);
		if (!r)
			break;
		sqe = io_uring_get_sqe(&u->ring); /* DEPTH entries, so there is one */
		prepare(u, sqe, r);
		store_push(&u->handed, r);
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

/* Until the kernel may have more memory, or a read may have ended. */
static void pause_briefly(struct uring *u)
{
	pthread_mutex_unlock(&u->lock);
	usleep(PAUSE_US);
	pthread_mutex_lock(&u->lock);
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
	if (!result || result == -EINTR)
		return result;
	pause_briefly(u); /* reads end, too, when nobody may wait for them */
	return -EINTR;
}

/* The next one without the kernel's queue; NULL: there is none. */
static struct store_read *read_one(struct uring *u)
{
	struct store_read *r = store_pop(&u->waiting[STORE_DEMAND]);

	if (!r && !u->demand)
		r = store_pop(&u->waiting[STORE_PREFETCH]);
	if (!r)
		return NULL;
	pthread_mutex_unlock(&u->lock);
	r->result = store_read_now(r);
	pthread_mutex_lock(&u->lock);
	return r;
}

/* Whether nothing is under way that could be waited for: the kernel has taken none yet. */
static bool is_stuck(struct uring *u)
{
	unsigned handed = 0;

	if (!u->handed.first)
		return false;
	send_off(u);
	for (const struct store_read *r = u->handed.first; r; r = r->next)
		handed++;
	return handed && handed == u->in_flight;
}

/* The next read that has ended; NULL: none has, or with @wait, none is left. */
static struct store_read *next_ended(struct uring *u, bool wait)
{
	while (u->in_flight) {
		struct io_uring_cqe *cqe;
		struct store_read *r;
		int result;

		if (is_stuck(u)) {
			pause_briefly(u);
			if (++u->pauses > PAUSES_MAX)
				give_up(u);
			continue;
		}
		result = next_completion(u, wait, &cqe);
		if (result == -EINTR)
			continue;
		if (result)
			return NULL;
		r = io_uring_cqe_get_data(cqe);
		result = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
		u->in_flight--;
		if (!take(u, r, result))
			r = NULL;
		else
			u->demand -= r->priority == STORE_DEMAND;
		feed(u);
		if (r)
			return r;
	}
	if (u->given_up && wait) {
		struct store_read *r = read_one(u);

		if (r)
			u->demand -= r->priority == STORE_DEMAND;
		return r;
	}
	return NULL;
}

static size_t complete(struct stoker_store *s, struct store_read **out, size_t max, bool wait)
{
	struct uring *u = (struct uring *)s;
	size_t count = 0;

	pthread_mutex_lock(&u->lock);
	while (count < max && (out[count] = next_ended(u, wait && !count)))
		count++;
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
				   stoker_human_size(bytes, human), stoker_strerror(-ret));
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

/* A sandbox may let a ring be made and refuse what is done with it. */
static int try_a_read(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct io_uring_cqe *cqe;
	uint8_t byte;
	int ret;

	if (fd < 0)
		io_uring_prep_nop(sqe);
	else
		io_uring_prep_read(sqe, fd, &byte, 1, 0);
	do
		ret = io_uring_submit(ring);
	while (ret == -EINTR);
	if (ret >= 0)
		do
			ret = io_uring_wait_cqe(ring, &cqe);
		while (ret == -EINTR);
	if (!ret) {
		ret = MIN(cqe->res, 0);
		io_uring_cqe_seen(ring, cqe);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

int stoker_store_open_uring(struct stoker_store **store, struct stoker_error *err)
{
	struct uring *u = calloc(1, sizeof(*u));
	int ret;

	*store = NULL;
	if (!u)
		return stoker_fail(err, -ENOMEM, "out of memory");
	ret = io_uring_queue_init(DEPTH, &u->ring, 0);
	if (!ret) {
		ret = try_a_read(&u->ring);
		if (ret)
			io_uring_queue_exit(&u->ring);
	}
	if (ret) {
		free(u);
		return stoker_fail(err, -ENOTSUP, "io_uring isn't allowed here: %s",
				   stoker_strerror(-ret));
	}
	pthread_mutex_init(&u->lock, NULL);
	u->base.ops = &uring_ops;
	*store = &u->base;
	return 0;
}
