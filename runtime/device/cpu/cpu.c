// SPDX-License-Identifier: MIT
/* The CPU device: memory, scratch of threads, tiles.  Ops run as soon as they are recorded. */
#include "device/cpu/product.h"

#include <numa.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	QUANTIZED_GROUPS = 32, /* that a thread quantizes at a time */
	SERIAL_WORK = 32768,   /* float operations that are done before another thread wakes up */
};

/* Buffers that grow get some more than they need. */
static size_t with_room(size_t bytes)
{
	return round_up(bytes + bytes / 4, 4096);
}

void *cpu_reserve(struct cpu *cpu, struct buffer *buffer, size_t bytes)
{
	if (bytes <= buffer->bytes)
		return buffer->data;
	const size_t room = with_room(bytes);
	void *data = aligned_alloc(64, room);

	if (!data) {
		cpu->failed = -ENOMEM;
		return NULL;
	}
	free(buffer->data);
	buffer->data = data;
	buffer->bytes = room;
	return data;
}

bool cpu_reserve_scratch(struct cpu *cpu, size_t bytes)
{
	bytes = round_up(bytes, 4096);
	if (bytes <= cpu->scratch_bytes)
		return true;
	if (!cpu_reserve(cpu, &cpu->scratch, bytes * cpu->threads))
		return false;
	cpu->scratch_bytes = bytes;
	return true;
}

struct parallel {
	const struct cpu *cpu;
	cpu_range_fn *fn;
	const void *context;
};

static void parallel_range(void *argument, unsigned thread, size_t begin, size_t end)
{
	const struct parallel *p = argument;

	p->fn(p->context, p->cpu, thread, begin, end);
}

void cpu_parallel(struct cpu *cpu, size_t count, size_t chunk, size_t work, cpu_range_fn *fn,
		  const void *context)
{
	struct parallel p = { .cpu = cpu, .fn = fn, .context = context };

	if (work < SERIAL_WORK)
		fn(context, cpu, 0, 0, count);
	else
		stoker_pool_run(cpu->pool, count, chunk, work, parallel_range, &p);
}

struct quantize_job {
	const float *x;
	struct q8_rows q;
};

/* Of a row of @k values, so many groups each. */
static size_t quantized_pieces(size_t k)
{
	return (k / ACTIVATION_GROUP + QUANTIZED_GROUPS - 1) / QUANTIZED_GROUPS;
}

static void quantize_range(const void *context, const struct cpu *cpu, unsigned thread,
			   size_t begin, size_t end)
{
	const struct quantize_job *j = context;
	const size_t groups = j->q.k / ACTIVATION_GROUP, pieces = quantized_pieces(j->q.k);

	(void)thread;
	for (size_t item = begin; item < end; item++) {
		const size_t row = item / pieces, first = item % pieces * QUANTIZED_GROUPS;

		cpu->kernels->quantize(j->x + row * j->q.k + first * ACTIVATION_GROUP, &j->q, row,
				       first, MIN(groups - first, (size_t)QUANTIZED_GROUPS));
	}
}

static size_t q8_bytes(size_t rows, size_t k)
{
	return round_up(rows * k, 64) + 36 * rows * (k / ACTIVATION_GROUP) + 64;
}

static uint64_t working_bytes(const struct stoker_device *d, const struct stoker_shapes *s)
{
	const size_t entries = (size_t)s->rows * s->used;
	const size_t heads = s->rows * s->heads_in * sizeof(float);
	const size_t rows = entries * (2 * s->hidden + s->embedding) * sizeof(float);

	(void)d;
	return with_room(q8_bytes(s->rows, MAX(s->in, s->heads_in))) +
	       with_room(MAX(heads, q8_bytes(entries, s->hidden))) + with_room(rows);
}

bool cpu_reserve_q8(struct cpu *cpu, struct buffer *into, size_t rows, size_t k, struct q8_rows *q)
{
	const size_t groups = rows * (k / ACTIVATION_GROUP), codes = round_up(rows * k, 64);
	uint8_t *at = cpu_reserve(cpu, into, q8_bytes(rows, k));

	if (!at)
		return false;
	float *f = (float *)(void *)(at + codes);

	*q = (struct q8_rows){
		.k = k,
		.codes = (int8_t *)at,
		.d = f,
		.xs32 = f + groups,
		.xs16 = f + 2 * groups,
		.corr32 = (int32_t *)(f + 4 * groups),
		.corr16 = (int32_t *)(f + 5 * groups),
		.pairs16 = (int16_t *)(f + 7 * groups),
	};
	return true;
}

bool cpu_quantize(struct cpu *cpu, struct buffer *into, const float *x, size_t rows, size_t k,
		  struct q8_rows *q)
{
	if (!cpu_reserve_q8(cpu, into, rows, k, q))
		return false;
	const struct quantize_job job = { .x = x, .q = *q };

	/* a single row is soon done */
	cpu_parallel(cpu, rows * quantized_pieces(k), rows == 1 ? SIZE_MAX : 2, 4 * rows * k,
		     quantize_range, &job);
	return true;
}

/* Zeros that go away with free_pages(). */
#ifdef STOKER_FUZZING
enum { FUZZING_MOST = 256 << 20 };

/* The sanitizer knows where what malloc() gives ends; reads fill whole pages. */
static void *get_pages(uint64_t size)
{
	void *p = size <= FUZZING_MOST ? aligned_alloc(4096, size) : NULL;

	return p ? memset(p, 0, size) : NULL;
}

static void free_pages(void *p, uint64_t size)
{
	(void)size;
	free(p);
}
#else
static void *get_pages(uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void free_pages(void *p, uint64_t size)
{
	munmap(p, size);
}
#endif

static int memory_create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
			 struct stoker_error *err)
{
	const uint64_t size = round_up(MAX(bytes, (uint64_t)1), 4096);
	char human[16];
	void *p;

	(void)d;
	*m = (struct stoker_memory){ 0 };
	p = get_pages(size);
	if (!p)
		return stoker_fail(err, -ENOMEM, "cpu: no memory for %s",
				   stoker_human_size(bytes, human));
	if (size >= 4 * HUGE_PAGE)
		madvise(p, size, MADV_HUGEPAGE);
	/* threads of every node read all of it */
	if (numa_available() >= 0 && numa_num_configured_nodes() > 1)
		numa_interleave_memory(p, size, numa_all_nodes_ptr);
	*m = (struct stoker_memory){ .at = (uintptr_t)p, .bytes = size, .host = p, .private = p };
	return 0;
}

static int memory_import(struct stoker_device *d, void *host, int fd, uint64_t bytes,
			 struct stoker_memory *m, struct stoker_error *err)
{
	(void)d;
	(void)fd;
	(void)err;
	*m = (struct stoker_memory){ .at = (uintptr_t)host, .bytes = bytes, .host = host };
	return 0;
}

/* What is ours is in @private. */
static void memory_destroy(struct stoker_device *d, struct stoker_memory *m)
{
	(void)d;
	if (m->private)
		free_pages(m->private, m->bytes);
	*m = (struct stoker_memory){ 0 };
}

static void discard(struct stoker_device *d, void *host, uint64_t bytes)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t begin = round_up((uintptr_t)host, page);
	const uintptr_t end = ((uintptr_t)host + bytes) / page * page;

	(void)d;
	if (begin < end) /* neighbours stay, whatever a page's size */
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static int write_memory(struct stoker_device *d, stoker_address dst, const void *src,
			uint64_t bytes, struct stoker_error *err)
{
	(void)d;
	(void)err;
	memcpy(host(dst), src, bytes);
	return 0;
}

static int read_memory(struct stoker_device *d, void *dst, stoker_address src, uint64_t bytes,
		       struct stoker_error *err)
{
	(void)d;
	(void)err;
	memcpy(dst, host(src), bytes);
	return 0;
}

/* @count groups of TILE_ROWS rows of one matrix, from group @first on. */
static void tile_groups(const struct stoker_weight *w, uint8_t *matrix, size_t first, size_t count,
			uint8_t *scratch)
{
	const size_t bytes = TILE_ROWS * stoker_row_bytes(w->format, w->in);

	cpu_tile_rows(w->format, matrix + first * bytes, count * TILE_ROWS, w->in, scratch);
}

static void tile_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
		       size_t end)
{
	const struct stoker_weight *w = context;
	const size_t items = w->out / TILE_ROWS;

	for (size_t item = begin, n; item < end; item += n) {
		uint8_t *matrix = (uint8_t *)host(w->at) + item / items * w->stride;

		n = MIN(end - item, items - item % items);
		tile_groups(w, matrix, item % items, n, cpu_scratch(cpu, thread));
	}
}

static bool tiles(const struct stoker_device *d, const struct stoker_format *f, uint32_t in,
		  uint32_t cut)
{
	return !d->exact && cpu_has_tiles(f) && in % ACTIVATION_GROUP == 0 && cut % TILE_ROWS == 0;
}

static int tile(struct stoker_device *d, const struct stoker_weight *w, struct stoker_error *err)
{
	struct cpu *cpu = cpu_of(d);
	const size_t items = (size_t)w->count * (w->out / TILE_ROWS);

	if (!cpu_reserve_scratch(cpu, cpu_tile_scratch(w->format, w->in)))
		return stoker_fail(err, -ENOMEM, "cpu: no memory for working buffers");
	cpu_parallel(cpu, items, 1, items * TILE_ROWS * w->in, tile_range, w);
	return 0;
}

static int tile_part(struct stoker_device *d, const struct stoker_weight *w, void *matrix,
		     uint32_t part, uint32_t parts, struct stoker_error *err)
{
	const size_t items = w->out / TILE_ROWS;
	const size_t begin = items * part / parts, end = items * (part + 1) / parts;
	AUTO_FREE uint8_t *scratch = malloc(cpu_tile_scratch(w->format, w->in));

	(void)d;
	if (!scratch)
		return stoker_fail(err, -ENOMEM, "cpu: no memory to lay out a matrix");
	tile_groups(w, matrix, begin, end - begin, scratch);
	return 0;
}

static int begin(struct stoker_device *d, struct stoker_error *err)
{
	(void)err;
	cpu_of(d)->failed = 0;
	return 0;
}

static int flush(struct stoker_device *d, struct stoker_error *err)
{
	(void)d;
	(void)err;
	return 0;
}

static int sync_ops(struct stoker_device *d, struct stoker_error *err)
{
	const int failed = cpu_of(d)->failed;

	return failed ? stoker_fail(err, failed, "cpu: no memory for working buffers") : 0;
}

static int submit(struct stoker_device *d, struct stoker_recording **keep, struct stoker_error *err)
{
	(void)keep;
	return sync_ops(d, err);
}

/* Its memory is all that it needs, and the pool does without its threads. */
static void go_on(struct stoker_device *d, bool idle)
{
	struct cpu *cpu = cpu_of(d);

	if (idle)
		return;
	/* the thread that isn't here may have been about to replace them */
	cpu->scratch = cpu->activations = cpu->hidden = cpu->expert_rows = (struct buffer){ 0 };
	cpu->lists = cpu->places = cpu->chunks = (struct buffer){ 0 };
	cpu->scratch_bytes = 0;
}

static void destroy(struct stoker_device *d)
{
	struct cpu *cpu = cpu_of(d);

	pthread_mutex_destroy(&d->exclusive);
	process_mark_free(&d->process);
	stoker_pool_destroy(&cpu->pool);
	free(cpu->scratch.data);
	free(cpu->activations.data);
	free(cpu->hidden.data);
	free(cpu->expert_rows.data);
	free(cpu->lists.data);
	free(cpu->places.data);
	free(cpu->chunks.data);
	free(cpu);
}

static bool supports(const struct stoker_device *d, enum stoker_op op, const void *args)
{
	const struct op_matmul *matmul = args;

	(void)d;
	return op != STOKER_OP_MATMUL || !matmul->then;
}

static const struct stoker_device_ops cpu_ops = {
	.name = "cpu",
	.destroy = destroy,
	.go_on = go_on,
	.memory_create = memory_create,
	.memory_destroy = memory_destroy,
	.memory_import = memory_import,
	.discard = discard,
	.write = write_memory,
	.read = read_memory,
	.working_bytes = working_bytes,
	.begin = begin,
	.flush = flush,
	.sync = sync_ops,
	.submit = submit,
	.tiles = tiles,
	.tile = tile,
	.tile_part = tile_part,
#define OP(NAME, name, weights) .name = cpu_##name,
#define COMPOSED(NAME, name, weights)
#include "device/ops.def"
	.matmul = cpu_matmul,
	.supports = supports,
};

int stoker_cpu_open(unsigned threads, bool exact, struct stoker_device **device,
		    struct stoker_error *err)
{
	static const struct cpu_kernels *const kernels[STOKER_ISA_COUNT] = {
		&cpu_kernels_scalar,
#if STOKER_X86
		&cpu_kernels_avx2,
		&cpu_kernels_avxvnni,
		&cpu_kernels_avx512,
#elif STOKER_ARM
		&cpu_kernels_dotprod,
#endif
	};
	struct cpu *cpu = calloc(1, sizeof(*cpu));
	int ret;

	if (!cpu)
		return stoker_fail(err, -ENOMEM, "cpu: out of memory");
	if (!process_mark_make(&cpu->base.process)) {
		free(cpu);
		return stoker_fail(err, -ENOMEM, "cpu: out of memory");
	}
	ret = stoker_pool_create(threads, &cpu->pool, err);
	if (ret) {
		process_mark_free(&cpu->base.process);
		free(cpu);
		return ret;
	}
	pthread_mutex_init(&cpu->base.exclusive, NULL);
	cpu->base.ops = &cpu_ops;
	cpu->base.exact = exact;
	cpu->base.max_memory = UINT64_MAX;
	cpu->base.alike_rows = GEMV_ROWS;
	cpu->base.shares_memory = true;
	cpu->base.runs_at_once = true;
	cpu->isa = stoker_isa_detect();
	cpu->kernels = kernels[cpu->isa];
	cpu->bfloats = !exact && cpu->kernels->gemm_bfloat && stoker_has_bfloat16();
	cpu->threads = stoker_pool_threads(cpu->pool);
	snprintf(cpu->base.description, sizeof(cpu->base.description), "cpu: %u thread%s, %s%s%s",
		 cpu->threads, cpu->threads == 1 ? "" : "s", stoker_isa_name(cpu->isa),
		 cpu->bfloats ? " with BF16" : "", exact ? ", exact" : "");
	*device = &cpu->base;
	return 0;
}
