// SPDX-License-Identifier: MIT
/* How fast a store reads blocks at random places of a file. */
#include "bench/measure.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
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
	uint8_t *memory; /* that the reads go to, in turn */
	uint64_t memory_bytes, next;
	bool mapped; /* by us */
};

/* Processor time of this process so far, in nanoseconds. */
static uint64_t cpu_ns(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return 1000000000ull * (uint64_t)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       1000ull * (uint64_t)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static int set_up(struct reads *r, struct measure_reads *b, struct stoker_error *err)
{
	const struct stoker_store_ops *ops = r->store->ops;
	const uint64_t began = stoker_now_ns();
	struct store_arena a;
	char human[16];
	int ret = 0;

	r->memory_bytes = MAX(b->memory_bytes, b->depth * b->block_bytes);
	if (ops->arena_create) {
		ret = ops->arena_create(r->store, r->memory_bytes, &a, err);
		r->memory = a.host;
		b->runs = a.runs;
	} else {
		r->memory = mmap(NULL, r->memory_bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		r->mapped = r->memory != MAP_FAILED;
		if (!r->mapped)
			return stoker_fail(err, -ENOMEM, "no memory for %s",
					   stoker_human_size(r->memory_bytes, human));
		madvise(r->memory, r->memory_bytes, MADV_HUGEPAGE);
		if (b->registered && ops->register_memory)
			ret = ops->register_memory(r->store, r->memory, r->memory_bytes, err);
		else
			madvise(r->memory, r->memory_bytes, MADV_POPULATE_WRITE);
	}
	b->setup_seconds = 1e-9 * (double)(stoker_now_ns() - began);
	return ret;
}

static void send(struct reads *r, const struct measure_reads *b, uint32_t i)
{
	struct store_read *read = &r->read[i];

	r->random = r->random * 6364136223846793005u + 1442695040888963407u;
	read->file = &r->file;
	read->offset = (r->random >> 20) % r->blocks * b->block_bytes;
	read->bytes = read->need = b->block_bytes;
	read->dst = r->memory + r->next;
	r->next += b->block_bytes;
	if (r->next + b->block_bytes > r->memory_bytes)
		r->next = 0;
	r->started[i] = stoker_now_ns();
	r->store->ops->submit(r->store, &read, 1, STORE_DEMAND);
}

/* Keeps @b->depth reads under way for a second. */
static int run(struct reads *r, struct measure_reads *b, struct stoker_error *err)
{
	const uint64_t began = stoker_now_ns(), cpu = cpu_ns();
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
	b->cpu_seconds_per_gib =
		1e-9 * (double)(cpu_ns() - cpu) / ((double)(count * b->block_bytes) / (1 << 30));
	count = MIN(count, (uint64_t)LATENCIES_MAX);
	qsort(r->latency, count, sizeof(*r->latency), compare);
	b->median_seconds = 1e-9 * (double)r->latency[count / 2];
	b->p99_seconds = 1e-9 * (double)r->latency[count * 99 / 100];
	return 0;
}

/* Block devices have no size of their own in struct stat. */
static uint64_t file_bytes(int fd, const struct stat *st)
{
	const off_t end = S_ISBLK(st->st_mode) ? lseek(fd, 0, SEEK_END) : st->st_size;

	return end > 0 ? (uint64_t)end : 0;
}

int measure_reads(const char *path, struct measure_reads *b, struct stoker_error *err)
{
	AUTO_FREE struct reads *r = calloc(1, sizeof(*r));
	AUTO_FREE uint64_t *latency = calloc(LATENCIES_MAX, sizeof(*latency));
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
	if (!r || !latency)
		return stoker_fail(err, -ENOMEM, "out of memory");
	r->latency = latency;
	r->file.path = path;
	r->random = stoker_now_ns(); /* other places than the last time */
	r->file.plain = open(path, O_RDONLY | O_CLOEXEC);
	if (r->file.plain < 0)
		return stoker_fail(err, -errno, "%s: %s", path, strerror(errno));
	r->file.fd = stoker_store_reopen(r->file.plain);
	if (r->file.fd < 0 || fstat(r->file.plain, &st))
		ret = stoker_fail(err, -errno, "%s: %s", path, strerror(errno));
	else if (file_bytes(r->file.plain, &st) < b->block_bytes)
		ret = stoker_fail(err, -EINVAL, "%s: smaller than a block", path);
	else
		ret = stoker_store_open(b->store, &r->store, err);
	if (!ret) {
		b->direct = fcntl(r->file.fd, F_GETFL) & O_DIRECT ? 1 : 0;
		b->store = r->store->ops->name;
		r->blocks = file_bytes(r->file.plain, &st) / b->block_bytes;
		ret = set_up(r, b, err);
		if (!ret)
			ret = run(r, b, err);
		r->store->ops->destroy(r->store);
		if (r->mapped)
			munmap(r->memory, r->memory_bytes);
	}
	if (r->file.fd >= 0)
		close(r->file.fd);
	close(r->file.plain);
	return ret;
}
