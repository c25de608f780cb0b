// SPDX-License-Identifier: MIT
/* Bulk reads: io_uring with O_DIRECT, or pread() on a few threads. */
#include "store/reader.h"

#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum {
	CHUNK = 1 << 20,
	DEPTH = 16,
	THREADS = 4,
};

struct range {
	int fd;
	const char *path;
	uint64_t offset, bytes;
	uint8_t *dst;
	stoker_progress_fn *progress;
	void *context;
	struct stoker_error *err;
};

static int short_read(const struct range *r, uint64_t at)
{
	return stoker_fail(r->err, -EIO, "%s: ends at byte %llu, expected %llu", r->path,
			   (unsigned long long)at, (unsigned long long)(r->offset + r->bytes));
}

/* One chunk of a transfer in flight. */
struct chunk {
	uint64_t at; /* within the range */
	uint32_t bytes, done;
};

static void queue_read(struct io_uring *ring, const struct range *r, int fd, struct chunk *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	/* whole blocks: the last one reaches beyond the file's end, which is allowed */
	const uint32_t want = (uint32_t)round_up(c->bytes - c->done, STOKER_READ_ALIGN);

	io_uring_prep_read(sqe, fd, r->dst + c->at + c->done, want, r->offset + c->at + c->done);
	io_uring_sqe_set_data(sqe, c);
}

/* Sends one more read off; where the kernel won't take it, what is in flight is still waited for.
 */
static int requeue(struct io_uring *ring, const struct range *r, int fd, struct chunk *c,
		   unsigned *in_flight)
{
	int sent;

	queue_read(ring, r, fd, c);
	do
		sent = io_uring_submit(ring);
	while (sent == -EINTR || sent == -EAGAIN || sent == -EBUSY);
	if (sent < 0)
		return stoker_fail(r->err, sent, "%s: io_uring: %s", r->path, strerror(-sent));
	++*in_flight;
	return 0;
}

/* Returns 1 when direct reads aren't possible here and nothing has been lost by trying. */
static int read_direct(const struct range *r)
{
	struct chunk chunks[DEPTH];
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	uint64_t next = 0, done = 0;
	unsigned in_flight = 0;
	char link[32];
	int fd, ret = 0;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", r->fd);
	fd = open(link, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return 1;
	if (io_uring_queue_init(DEPTH, &ring, 0)) {
		close(fd);
		return 1;
	}
	for (unsigned i = 0; i < DEPTH && next < r->bytes; i++) {
		chunks[i] =
			(struct chunk){ .at = next,
					.bytes = (uint32_t)MIN(r->bytes - next, (uint64_t)CHUNK) };
		queue_read(&ring, r, fd, &chunks[i]);
		next += chunks[i].bytes;
		in_flight++;
	}
	if (io_uring_submit(&ring) != (int)in_flight) {
		/* the ring's end takes back what it has: nothing of it was waited for yet */
		io_uring_queue_exit(&ring);
		close(fd);
		return 1;
	}
	while (in_flight) {
		const int waited = io_uring_wait_cqe(&ring, &cqe);

		if (waited == -EINTR)
			continue;
		if (waited < 0) {
			/* buffers may still be written to: only waiting on would be safe */
			ret = stoker_fail(r->err, waited, "%s: io_uring: %s", r->path,
					  strerror(-waited));
			break;
		}
		struct chunk *c = io_uring_cqe_get_data(cqe);
		const int got = cqe->res;

		io_uring_cqe_seen(&ring, cqe);
		in_flight--;
		if (ret)
			continue;
		if (got == -EINTR || got == -EAGAIN) {
			ret = requeue(&ring, r, fd, c, &in_flight);
			continue;
		}
		if (got == -EINVAL || got == -EOPNOTSUPP || got == -EFAULT) {
			/* the file system takes O_DIRECT but not these reads, or the memory is a
			 * device's, which the kernel can't pin */
			ret = 1;
			continue;
		}
		if (got < 0) {
			ret = stoker_fail(r->err, got, "%s: read at byte %llu: %s", r->path,
					  (unsigned long long)(r->offset + c->at), strerror(-got));
			continue;
		}
		c->done += MIN((uint32_t)got, c->bytes - c->done);
		if (c->done < c->bytes) {
			/* direct reads only stop inside a block at the end of the file */
			if (got == 0 || c->done % STOKER_READ_ALIGN) {
				ret = short_read(r, r->offset + c->at + c->done);
				continue;
			}
		} else {
			done += c->bytes;
			if (r->progress && r->progress(r->context, done, r->bytes)) {
				ret = stoker_fail(r->err, -ECANCELED, "%s: reading cancelled",
						  r->path);
				continue;
			}
			if (next >= r->bytes)
				continue;
			*c = (struct chunk){
				.at = next, .bytes = (uint32_t)MIN(r->bytes - next, (uint64_t)CHUNK)
			};
			next += c->bytes;
		}
		ret = requeue(&ring, r, fd, c, &in_flight);
	}
	io_uring_queue_exit(&ring);
	close(fd);
	return ret;
}

struct buffered {
	const struct range *range;
	_Atomic uint64_t next, done;
	_Atomic int failed;
	_Atomic uint64_t failed_at;
};

static void *read_buffered_thread(void *argument)
{
	struct buffered *b = argument;
	const struct range *r = b->range;
	uint64_t at;

	while (!atomic_load(&b->failed) && (at = atomic_fetch_add(&b->next, CHUNK)) < r->bytes) {
		const uint64_t end = MIN(at + CHUNK, r->bytes), begin = at;

		while (at < end) {
			const ssize_t got =
				pread(r->fd, r->dst + at, end - at, (off_t)(r->offset + at));

			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0) {
				atomic_store(&b->failed_at, r->offset + at);
				atomic_store(&b->failed, got ? -errno : -ENODATA);
				return NULL;
			}
			at += (uint64_t)got;
		}
		atomic_fetch_add(&b->done, end - begin);
	}
	return NULL;
}

static int read_buffered(const struct range *r)
{
	struct buffered b = { .range = r };
	pthread_t threads[THREADS];
	unsigned started = 0;
	int failed;

	while (started < THREADS &&
	       !pthread_create(&threads[started], NULL, read_buffered_thread, &b))
		started++;
	if (!started)
		read_buffered_thread(&b);
	while (r->progress && !atomic_load(&b.failed) && atomic_load(&b.done) < r->bytes) {
		if (r->progress(r->context, atomic_load(&b.done), r->bytes))
			atomic_store(&b.failed, -ECANCELED);
		usleep(20000);
	}
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	failed = atomic_load(&b.failed);
	if (failed == -ENODATA)
		return short_read(r, atomic_load(&b.failed_at));
	if (failed)
		return stoker_fail(r->err, failed, "%s: read at byte %llu: %s", r->path,
				   (unsigned long long)atomic_load(&b.failed_at),
				   strerror(-failed));
	if (r->progress)
		r->progress(r->context, r->bytes, r->bytes);
	return 0;
}

int stoker_read_range(int fd, const char *path, uint64_t offset, uint64_t bytes, void *dst,
		      stoker_progress_fn *progress, void *context, struct stoker_error *err)
{
	const struct range r = { .fd = fd,
				 .path = path,
				 .offset = offset,
				 .bytes = bytes,
				 .dst = dst,
				 .progress = progress,
				 .context = context,
				 .err = err };
	const int ret = read_direct(&r);

	return ret == 1 ? read_buffered(&r) : ret;
}
