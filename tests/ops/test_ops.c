// SPDX-License-Identifier: MIT
/*
 * Every op of every device against the reference: which devices there are, how one is opened, and
 * the memory that it shares with its tests.
 */
#include "ops.h"

#include "multiply_device.h"

enum { MAX = 1 << 20 };

struct stoker_device *device;
const struct stoker_device_ops *ops;
float *pool;
size_t pool_used;

/* Floats that live until the next test. */
float *room(size_t n)
{
	float *p = pool + pool_used;

	pool_used += round_up(n, 16);
	CU_ASSERT_FATAL(pool_used <= MAX);
	return p;
}

float *noise(size_t n)
{
	float *p = room(n);

	for (size_t i = 0; i < n; i++)
		p[i] = random_float();
	return p;
}

/* The pool is here; a device that doesn't share memory with the host works on a copy. */
static struct stoker_memory memory;

stoker_address at(const void *p)
{
	return memory.at + ((uintptr_t)p - (uintptr_t)pool);
}

float *zeros(size_t n)
{
	return memset(room(n), 0, n * sizeof(float));
}

uint32_t *number(uint32_t value)
{
	uint32_t *p = (uint32_t *)(void *)room(1);

	*p = value;
	return p;
}

stoker_address places_at(uint32_t position, uint32_t rows)
{
	return places_in(0, position, rows);
}

stoker_address places_in(stoker_address pages, uint32_t position, uint32_t rows)
{
	struct row_place *p = (struct row_place *)(void *)room(rows * sizeof(*p) / sizeof(float));

	for (uint32_t i = 0; i < rows; i++)
		p[i] = (struct row_place){ .pages = pages, .position = position + i };
	return at(p);
}

bool memory_is_shared(void)
{
	return memory.host == pool && memory.at == (uintptr_t)pool && device->runs_at_once;
}

void carry(int (*copy)(void))
{
	if (memory.host != pool)
		CU_ASSERT_EQUAL(copy(), 0);
}

int to_device(void)
{
	return ops->write(device, memory.at, pool, pool_used * sizeof(float), NULL);
}

int from_device(void)
{
	return ops->read(device, pool, memory.at, pool_used * sizeof(float), NULL);
}

void submit(void)
{
	struct stoker_error err;

	if (ops->submit(device, NULL, &err)) {
		printf("\n    %s", err.message);
		CU_FAIL("submit");
	}
}

/* The largest difference, relative to the largest wanted value. */
double off_by(const float *got, const double *wanted, size_t n)
{
	double worst = 0, size = 1e-9;

	for (size_t i = 0; i < n; i++) {
		const double e = fabs((double)got[i] - wanted[i]);

		if (isnan(e))
			return INFINITY;
		worst = fmax(worst, e);
		size = fmax(size, fabs(wanted[i]));
	}
	return worst / size;
}

static void check_values(const float *got, const double *wanted, size_t n, double limit,
			 bool by_size)
{
	for (size_t i = 0; i < n; i++) {
		const double allowed = by_size ? limit * fmax(1, fabs(wanted[i])) : limit;

		if (fabs((double)got[i] - wanted[i]) <= allowed)
			continue;
		printf("\n    value %zu of %zu, %s: %.9g in place of %.9g", i, n,
		       device->description, (double)got[i], wanted[i]);
		CU_FAIL("results differ from the reference");
		return;
	}
}

void check_each(const float *got, const double *wanted, size_t n, double limit)
{
	check_values(got, wanted, n, limit, false);
}

void check_each_by_size(const float *got, const double *wanted, size_t n, double limit)
{
	check_values(got, wanted, n, limit, true);
}

void check(const char *what, const float *got, const double *wanted, size_t n, double limit)
{
	const double off = off_by(got, wanted, n);

	if (!(off < limit)) {
		printf("\n    %s, %s: off by %.2e", what, device->description, off);
		CU_FAIL("results differ from the reference");
	}
}

double *doubles(size_t n)
{
	return (double *)(void *)room(2 * n);
}

double *doubles_of(const float *values, size_t n)
{
	double *copy = doubles(n);

	for (size_t i = 0; i < n; i++)
		copy[i] = (double)values[i];
	return copy;
}

stoker_address q8_room(uint32_t rows, uint32_t width)
{
	const uint64_t bytes = rows <= device->q8_rows ? rows * stoker_q8_bytes(device, width) : 0;

	return bytes ? at(room(bytes / sizeof(float))) : 0;
}

unsigned threads = 2;

void run_on(const char *name, bool exact, void (*test)(bool exact))
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = name,
						     .threads = threads, .exact = exact };
	struct stoker_error err;
	const int ret = strcmp(name, "multiply")
				? stoker_device_open(&params, &device, &err)
				: multiply_device_open(threads, exact, false, &device, &err);

	if (ret) {
		printf("\n    %s", err.message);
		CU_FAIL("the device doesn't open");
		return;
	}
	ops = device->ops;
	CU_ASSERT_EQUAL_FATAL(ops->memory_create(device, MAX * sizeof(float), &memory, &err), 0);
	pool = memory.host ? memory.host : aligned_alloc(64, MAX * sizeof(float));
	pool_used = 0;
	random_seed(5);
	test(exact);
	if (!memory.host)
		free(pool);
	ops->memory_destroy(device, &memory);
	stoker_device_close(&device);
}

/*
 * What every op is tested on, a row each: exact ones take products with 32-bit floats throughout,
 * others with 8-bit codes where they have them.  The CPU is taken with each instruction set.
 */
static const struct tested {
	const char *name;
	bool exact;
	const char *words; /* of STOKER_VULKAN; NULL: on the CPU */
} tested[] = {
	{ "cpu", false, NULL },
	{ "cpu", true, NULL },
	{ "multiply", true, NULL }, /* with a CPU behind it */
	{ "vulkan", true, "" },
	{ "vulkan", false, "no-dot" },
	{ "vulkan", true, "as-gpu,no-control,no-budget" },
	{ "vulkan", true, "as-gpu,separate" },
	{ "vulkan", false, "dot,no-tensor" },
	{ "vulkan", false, "tensor,no-dot,no-pairs" },
};

static void run_on_cpu(const struct tested *t, void (*test)(bool exact))
{
	for (int isa = 0; isa < STOKER_ISA_COUNT; isa++)
		if (stoker_isa_supported((enum stoker_isa)isa)) {
			setenv("STOKER_ISA", stoker_isa_name((enum stoker_isa)isa), 1);
			run_on(t->name, t->exact, test);
			unsetenv("STOKER_ISA");
		}
}

static void run_on_vulkan(const struct tested *t, void (*test)(bool exact))
{
	char words[128];

	if (!vulkan_is_here())
		return;
	snprintf(words, sizeof(words), "%s,%s", t->words, vulkan_words());
	setenv("STOKER_VULKAN", words, 1);
	run_on(t->name, t->exact, test);
	setenv("STOKER_VULKAN", vulkan_words(), 1);
}

/* STOKER_TEST_VARIANTS is how many forms of the Vulkan device are taken. */
void run_all_sets(void (*test)(bool exact))
{
	const char *few = getenv("STOKER_TEST_VARIANTS");
	size_t left = few ? (size_t)atoi(few) : ARRAY_SIZE(tested);

	for (const struct tested *t = tested; t < tested + ARRAY_SIZE(tested); t++)
		if (!t->words)
			run_on_cpu(t, test);
		else if (left && left--)
			run_on_vulkan(t, test);
}

bool as_in_files;

struct stoker_weight weights(const struct stoker_format *f, uint32_t in, uint32_t out,
			     uint32_t count, double *values)
{
	const size_t total = (size_t)in * out * count;
	uint8_t *blocks = (uint8_t *)room(total + 64);

	random_blocks(f, blocks, total / f->block_values);
	return weights_of(f, blocks, in, out, count, values);
}

struct stoker_weight weights_of(const struct stoker_format *f, uint8_t *blocks, uint32_t in,
				uint32_t out, uint32_t count, double *values)
{
	const size_t total = (size_t)in * out * count;
	float *decoded = room(total);

	stoker_decode(f, STOKER_ISA_SCALAR, blocks, decoded, total);
	for (size_t i = 0; i < total; i++)
		values[i] = (double)decoded[i];
	struct stoker_weight w = { .format = f,
				   .at = at(blocks),
				   .in = in,
				   .out = out,
				   .count = count,
				   .stride = stoker_row_bytes(f, in) * out };

	w.tiled = !as_in_files && stoker_wants_tiles(device, f, in, 0);
	if (w.tiled)
		CU_ASSERT_FATAL(!device->ops->tile(device, &w, NULL));
	return w;
}

struct matrix plain(const struct stoker_weight *w, const double *values)
{
	return (struct matrix){ .in = w->in, .out = w->out, .count = w->count, .values = values };
}

void suite_ops(void)
{
	add_memory();
	add_products();
	add_experts();
	add_attention();
	add_attention_formats();
	add_norms_and_rope();
	add_small();
	add_recurrence();
	add_sequences();
	add_gather();
}
