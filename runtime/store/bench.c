// SPDX-License-Identifier: MIT
/* How fast a store reads blocks at random places of a file. */
#include "stoker/bench.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"

enum { DEPTH_MAX = 64, LATENCIES_MAX = 1 << 16 };

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct reads {
	struct stoker_store *store;
	struct store_file file;
	uint64_t blocks; /* in the file */
	uint64_t started[DEPTH_MAX];
	struct store_read read[DEPTH_MAX];
	uint64_t random;
	uint64_t *latency;
};

static void send(struct reads *r, const struct stoker_bench_reads *b, uint32_t i)
{
	struct store_read *read = &r->read[i];

	r->random = r->random * 6364136223846793005u + 1442695040888963407u;
	read->file = &r->file;
	read->offset = (r->random >> 20) % r->blocks * b->block_bytes;
	read->bytes = read->need = b->block_bytes;
	r->started[i] = stoker_now_ns();
	r->store->ops->submit(r->store, &read, 1, STORE_DEMAND);
}

/* Keeps @b->depth reads under way for a second. */
static int run(struct reads *r, struct stoker_bench_reads *b, struct stoker_error *err)
{
	const uint64_t began = stoker_now_ns();
	uint64_t count = 0, now = began;
	uint32_t under_way = 0;
	int failed = 0;

	for (; under_way < b->depth; under_way++)
		send(r, b, under_way);
	while (under_way) {
		struct store_read *done[DEPTH_MAX];
		const size_t n = r->store->ops->complete(r->store, done, DEPTH_MAX, true);

		now = stoker_now_ns();
		for (size_t i = 0; i < n; i++) {
			const uint32_t which = (uint32_t)(done[i] - r->read);

			under_way--;
			if (done[i]->result && !failed)
				failed = done[i]->result;
			if (count < LATENCIES_MAX)
				r->latency[count] = now - r->started[which];
			count++;
			if (!failed && now - began < 1000000000) {
				send(r, b, which);
				under_way++;
			}
		}
	}
	if (failed)
		return stoker_fail(err, failed, "%s: %s", r->file.path, strerror(-failed));
	b->bytes_per_second = 1e9 * (double)(count * b->block_bytes) / (double)(now - began);
	count = MIN(count, (uint64_t)LATENCIES_MAX);
	qsort(r->latency, count, sizeof(*r->latency), compare);
	b->median_seconds = 1e-9 * (double)r->latency[count / 2];
	b->p99_seconds = 1e-9 * (double)r->latency[count * 99 / 100];
	return 0;
}

int stoker_bench_reads(const char *path, struct stoker_bench_reads *b, struct stoker_error *err)
{
	AUTO_FREE struct reads *r = calloc(1, sizeof(*r));
	AUTO_FREE uint64_t *latency = calloc(LATENCIES_MAX, sizeof(*latency));
	AUTO_FREE uint8_t *memory = NULL;
	struct stat st;
	int ret;

	if (!b->block_bytes || b->block_bytes % STOKER_STORE_ALIGN || b->block_bytes > 64 << 20 ||
	    !b->depth || b->depth > DEPTH_MAX)
		return stoker_fail(
			err, -EINVAL,
			"blocks of %llu bytes %u at a time; multiples of %d up to 64 MiB "
			"and up to %d are possible",
			(unsigned long long)b->block_bytes, b->depth, STOKER_STORE_ALIGN,
			DEPTH_MAX);
	memory = aligned_alloc(STOKER_STORE_ALIGN, b->depth * b->block_bytes);
	if (!r || !latency || !memory)
		return stoker_fail(err, -ENOMEM, "out of memory");
	r->latency = latency;
	for (uint32_t i = 0; i < b->depth; i++)
		r->read[i].dst = memory + i * b->block_bytes;
	r->file.path = path;
	r->random = stoker_now_ns(); /* other places than the last time */
	r->file.plain = open(path, O_RDONLY | O_CLOEXEC);
	if (r->file.plain < 0)
		return stoker_fail(err, -errno, "%s: %s", path, strerror(errno));
	r->file.fd = stoker_store_reopen(r->file.plain);
	if (r->file.fd < 0 || fstat(r->file.plain, &st))
		ret = stoker_fail(err, -errno, "%s: %s", path, strerror(errno));
	else if ((uint64_t)st.st_size < b->block_bytes)
		ret = stoker_fail(err, -EINVAL, "%s: smaller than a block", path);
	else
		ret = stoker_store_open(b->store, &r->store, err);
	if (!ret) {
		b->direct = fcntl(r->file.fd, F_GETFL) & O_DIRECT ? 1 : 0;
		b->store = r->store->ops->name;
		r->blocks = (uint64_t)st.st_size / b->block_bytes;
		ret = run(r, b, err);
		r->store->ops->destroy(r->store);
	}
	if (r->file.fd >= 0)
		close(r->file.fd);
	close(r->file.plain);
	return ret;
}
