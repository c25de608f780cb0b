// SPDX-License-Identifier: MIT
/* Every op of every device against plain definitions: the CPU with each instruction set, Vulkan
 * with its optional features and without. */
#include "ops.h"

#include <sys/mman.h>
#include <unistd.h>

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

uint32_t *number(uint32_t value)
{
	uint32_t *p = (uint32_t *)(void *)room(1);

	*p = value;
	return p;
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

double *doubles(size_t n)
{
	return (double *)(void *)room(2 * n);
}

static unsigned threads = 2;

static void run_on(const char *name, bool exact, void (*test)(bool exact))
{
	const struct stoker_device_params params = { .name = name,
						     .threads = threads,
						     .exact = exact };
	struct stoker_error err;

	if (stoker_device_open(&params, &device, &err)) {
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

/* Products with 32-bit floats throughout (exact), and where a device has it with 8-bit codes. */
void run_all_sets(void (*test)(bool exact))
{
	static const struct {
		const char *words;
		bool exact;
	} variants[] = {
		{ "", true },
		{ "pairs,no-dot", false },
		{ "as-gpu,no-control,no-budget", true },
		{ "as-gpu,separate", true },
		{ "dot,no-tensor", false },
		{ "tensor,no-dot,no-pairs", false },
	};
	const char *few = getenv("STOKER_TEST_VARIANTS");
	const size_t most = few ? MIN((size_t)atoi(few), ARRAY_SIZE(variants))
				: ARRAY_SIZE(variants);

	for (int isa = 0; isa < STOKER_ISA_COUNT; isa++)
		for (int exact = 0; exact < 2 && stoker_isa_supported((enum stoker_isa)isa);
		     exact++) {
			setenv("STOKER_ISA", stoker_isa_name((enum stoker_isa)isa), 1);
			run_on("cpu", exact, test);
			unsetenv("STOKER_ISA");
		}
	for (size_t i = 0; i < most && vulkan_is_here(); i++) {
		char words[128];

		snprintf(words, sizeof(words), "%s,%s", variants[i].words, vulkan_words());
		setenv("STOKER_VULKAN", words, 1);
		run_on("vulkan", variants[i].exact, test);
		setenv("STOKER_VULKAN", vulkan_words(), 1);
	}
}

bool as_in_files;

struct stoker_weight weights(const struct stoker_format *f, uint32_t in, uint32_t out,
			     uint32_t count, double *values)
{
	const size_t total = (size_t)in * out * count;
	uint8_t *blocks = (uint8_t *)room(total + 64);
	float *decoded = room(total);

	random_blocks(f, blocks, total / f->block_values);
	stoker_format_decode(f, blocks, decoded, total);
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

static double act(enum stoker_activation kind, double g, double u)
{
	switch (kind) {
	case ACTIVATION_SILU:
		return g / (1 + exp(-g)) * u;
	case ACTIVATION_GELU:
		return 0.5 * g * (1 + tanh(0.7978845608028654 * (g + 0.044715 * g * g * g))) * u;
	case ACTIVATION_RELU:
		return fmax(g, 0) * u;
	case ACTIVATION_SWIGLU_OAI:
		g = fmin(g, 7);
		u = fmax(fmin(u, 7), -7);
		return g / (1 + exp(-1.702 * g)) * (u + 1);
	case ACTIVATION_SILU_ONLY:
		return u / (1 + exp(-u));
	}
	return NAN;
}

/* The same in waves, where the device allows several: every other expert, then the rest. */
static void experts_in_waves(const struct op_experts *all, const uint32_t *ids)
{
	const uint32_t count = all->rows * all->used;
	const uint32_t waves = all->rows > device->whole_rows ? 2 : 1;
	AUTO_FREE uint32_t *entries = malloc(count * sizeof(*entries));
	AUTO_FREE struct chosen_expert *chosen = malloc(all->up->count * sizeof(*chosen));
	AUTO_FREE struct chosen_expert *part = malloc(all->up->count * sizeof(*part));
	const uint32_t active = stoker_sort_choices(ids, count, all->up->count, entries, chosen);
	struct op_experts op = *all;

	carry(to_device);
	CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
	for (uint32_t i = 0; i < waves; i++) {
		struct expert_wave wave = {
			.experts = part, .entries = entries, .first = i == 0, .last = i == waves - 1
		};

		for (uint32_t e = i; e < active; e += waves) {
			part[wave.count] = chosen[e];
			part[wave.count++].at = (struct stoker_expert){
				.gate = op.gate->at + chosen[e].expert * op.gate->stride,
				.up = op.up->at + chosen[e].expert * op.up->stride,
				.down = op.down->at + chosen[e].expert * op.down->stride,
			};
		}
		op.wave = &wave;
		device_experts(device, &op);
		CU_ASSERT_EQUAL(i ? ops->flush(device, NULL) : ops->sync(device, NULL), 0);
	}
	submit();
	carry(from_device);
}

static void experts_of(bool exact, const char *const names[3])
{
	const uint32_t in = 64, hidden = 96, count = 5, used = 2;

	for (uint32_t rows = 1; rows <= 17; rows += 4) {
		pool_used = 0;
		double *gv = doubles((size_t)in * hidden * count),
		       *uv = doubles((size_t)in * hidden * count);
		double *dv = doubles((size_t)in * hidden * count),
		       *wanted = doubles((size_t)rows * in);
		const struct stoker_weight gate =
			weights(stoker_format_by_name(names[0]), in, hidden, count, gv);
		const struct stoker_weight up =
			weights(stoker_format_by_name(names[1]), in, hidden, count, uv);
		const struct stoker_weight down =
			weights(stoker_format_by_name(names[2]), hidden, in, count, dv);
		const float *x = noise((size_t)rows * in), *weight = noise((size_t)rows * used);
		uint32_t *ids = (uint32_t *)room((size_t)rows * used);
		float *got = room((size_t)rows * in), *whole = room((size_t)rows * in);

		for (uint32_t r = 0; r < rows; r++) {
			double *y = wanted + (size_t)r * in;

			memset(y, 0, in * sizeof(*y));
			for (uint32_t k = 0; k < used; k++) {
				const uint32_t e = (r * (k + 1) + k) % count;
				const size_t base = (size_t)e * in * hidden;

				ids[r * used + k] = e;
				for (uint32_t h = 0; h < hidden; h++) {
					double g = 0, u = 0;

					for (uint32_t i = 0; i < in; i++) {
						g += gv[base + (size_t)h * in + i] *
						     (double)x[(size_t)r * in + i];
						u += uv[base + (size_t)h * in + i] *
						     (double)x[(size_t)r * in + i];
					}
					g = act(ACTIVATION_SILU, g, u) *
					    (double)weight[r * used + k];
					for (uint32_t o = 0; o < in; o++)
						y[o] += dv[base + (size_t)o * hidden + h] * g;
				}
			}
		}
		const struct op_experts op = { .dst = at(got),
					       .src = at(x),
					       .ids = at(ids),
					       .weights = at(weight),
					       .gate = &gate,
					       .up = &up,
					       .down = &down,
					       .rows = rows,
					       .used = used };

		RUN(experts, op);
		CU_ASSERT(off_by(got, wanted, (size_t)rows * in) < (exact ? 1e-5 : 0.03));
		memcpy(whole, got, (size_t)rows * in * sizeof(*got));
		memset(got, 0, (size_t)rows * in * sizeof(*got));
		experts_in_waves(&op, ids);
		CU_ASSERT(!memcmp(whole, got, (size_t)rows * in * sizeof(*got)));
	}
}

static void experts(bool exact)
{
	static const char *const formats[][3] = { { "Q8_0", "Q8_0", "Q8_0" },
						  { "Q8_0", "F16", "Q4_0" },
						  { "F16", "Q8_0", "F32" },
						  { "Q4_0", "Q8_0", "BF16" },
						  { "Q4_0", "Q4_0", "Q4_0" } };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		experts_of(exact, formats[i]);
}

/* One query by the definition: @keys and @values as they were before the cache rounded them. */
static void attend_one(const struct op_attention *op, const float *q, const float *keys,
		       const float *values, const float *sinks, uint32_t position, uint32_t row,
		       uint32_t head, double *score, double *y)
{
	const uint32_t ks = op->key_size, vs = op->value_size, kv = op->kv_heads;
	const uint32_t end = position + row + 1, shared = head / (op->heads / kv);
	const uint32_t first = op->window && end > op->window ? end - op->window : 0;
	const float *query = q + ((size_t)row * op->heads + head) * ks;
	double top = op->sinks ? (double)sinks[head] : -INFINITY, sum = 0;

	for (uint32_t p = first; p < end; p++) {
		const float *key = keys + ((size_t)p * kv + shared) * ks;

		score[p] = 0;
		for (uint32_t i = 0; i < ks; i++)
			score[p] += (double)op->scale * (double)query[i] * (double)key[i];
		if (op->softcap > 0)
			score[p] = (double)op->softcap * tanh(score[p] / (double)op->softcap);
		top = fmax(top, score[p]);
	}
	if (op->sinks)
		sum = exp((double)sinks[head] - top);
	for (uint32_t p = first; p < end; p++)
		sum += exp(score[p] - top);
	memset(y, 0, vs * sizeof(*y));
	for (uint32_t p = first; p < end; p++) {
		const float *value = values ? values + ((size_t)p * kv + shared) * vs
					    : keys + ((size_t)p * kv + shared) * ks;

		for (uint32_t i = 0; i < vs; i++)
			y[i] += exp(score[p] - top) / sum * (double)value[i];
	}
}

static uint64_t attention_bits; /* a hash of all results */

static void attention(bool exact)
{
	static const struct {
		uint32_t heads, kv_heads, key, value, window, position, rows;
		bool sinks, shared;
		float softcap;
		enum stoker_kv_format format;
		double limit;
	} cases[] = {
		{ 4, 2, 16, 16, 0, 0, 9, false, false, 0, STOKER_KV_F32, 1e-5 },
		{ 4, 4, 24, 8, 0, 130, 1, false, false, 0, STOKER_KV_F32, 1e-5 },
		{ 6, 2, 32, 32, 70, 150, 5, true, false, 0, STOKER_KV_F32, 1e-5 },
		{ 3, 1, 48, 32, 0, 64, 3, false, true, 0, STOKER_KV_F32, 1e-5 },
		{ 2, 1, 32, 32, 0, 100, 2, false, false, 5, STOKER_KV_F32, 1e-5 },
		{ 4, 2, 32, 32, 63, 127, 4, false, false, 0, STOKER_KV_F16, 2e-3 },
		{ 4, 2, 32, 32, 0, 65, 4, true, false, 0, STOKER_KV_Q8_0, 2e-2 },
		{ 5, 1, 64, 32, 0, 65, 9, false, true, 0, STOKER_KV_F16, 2e-3 },
		/* a past that is long enough to be split */
		{ 8, 2, 32, 32, 0, 700, 1, false, false, 0, STOKER_KV_F16, 2e-3 },
		{ 6, 2, 40, 24, 600, 900, 3, true, false, 0, STOKER_KV_F32, 1e-5 },
		{ 5, 1, 48, 32, 0, 511, 7, true, true, 4, STOKER_KV_F32, 1e-5 },
		{ 4, 4, 32, 32, 520, 530, 2, false, false, 0, STOKER_KV_Q8_0, 2e-2 },
		/* many heads share keys, with sizes that don't fill vectors */
		{ 16, 2, 80, 72, 0, 300, 1, true, false, 0, STOKER_KV_F16, 2e-3 },
		{ 14, 1, 40, 24, 30, 77, 2, false, false, 3, STOKER_KV_F32, 1e-5 },
		{ 8, 2, 100, 100, 0, 60, 5, false, false, 0, STOKER_KV_F16, 2e-3 },
		/* so many queries that keys become columns */
		{ 8, 1, 72, 40, 0, 0, 35, false, false, 0, STOKER_KV_F16, 2e-3 },
		{ 4, 2, 24, 32, 45, 70, 40, true, false, 0, STOKER_KV_F32, 1e-5 },
		{ 6, 1, 64, 32, 0, 100, 33, false, true, 5, STOKER_KV_Q8_0, 2e-2 },
		{ 16, 2, 128, 128, 0, 190, 9, false, false, 0, STOKER_KV_F16, 2e-3 },
	};

	(void)exact;
	attention_bits = 0;
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		const uint32_t heads = cases[c].heads, kv = cases[c].kv_heads, ks = cases[c].key;
		const uint32_t vs = cases[c].value, rows = cases[c].rows,
			       total = cases[c].position + rows;

		pool_used = 0;
		const float *q = noise((size_t)rows * heads * ks),
			    *k = noise((size_t)total * kv * ks);
		const float *v = cases[c].shared ? NULL : noise((size_t)total * kv * vs),
			    *sinks = noise(heads);
		uint8_t *keys = (uint8_t *)room((size_t)total * kv * ks),
			*values = (uint8_t *)room((size_t)total * kv * vs + 1);
		double *wanted = doubles((size_t)rows * heads * vs), *score = doubles(total);
		float *got = room((size_t)rows * heads * vs);
		const struct op_kv_store store_k = { .cache = at(keys),
						     .src = at(k),
						     .position = at(number(0)),
						     .format = cases[c].format,
						     .rows = total,
						     .width = kv * ks,
						     .stride = kv * ks };
		const struct op_kv_store store_v = { .cache = at(values),
						     .src = at(v),
						     .position = at(number(0)),
						     .format = cases[c].format,
						     .rows = total,
						     .width = kv * vs,
						     .stride = kv * vs };
		const struct op_attention op = {
			.dst = at(got),
			.q = at(q),
			.keys = at(keys),
			.values = cases[c].shared ? at(keys) : at(values),
			.sinks = cases[c].sinks ? at(sinks) : 0,
			.format = cases[c].format,
			.rows = rows,
			.position = at(number(cases[c].position)),
			.heads = heads,
			.kv_heads = kv,
			.key_size = ks,
			.value_size = vs,
			.window = cases[c].window,
			.q_stride = heads * ks,
			.q_head_stride = ks,
			.dst_stride = heads * vs,
			.shared_value = cases[c].shared,
			.scale = 0.3f,
			.softcap = cases[c].softcap,
		};

		RUN(kv_store, store_k);
		if (v)
			RUN(kv_store, store_v);
		RUN(attention, op);
		for (uint32_t r = 0; r < rows; r++)
			for (uint32_t h = 0; h < heads; h++)
				attend_one(&op, q, k, v, sinks, cases[c].position, r, h, score,
					   wanted + ((size_t)r * heads + h) * vs);
		for (size_t i = 0; i < (size_t)rows * heads * vs; i++)
			attention_bits = (attention_bits ^ bits_of_float(got[i])) * 0x100000001b3;
		if (!(off_by(got, wanted, (size_t)rows * heads * vs) < cases[c].limit)) {
			printf("\n    attention case %zu, %s: off by %.2e", c, device->description,
			       off_by(got, wanted, (size_t)rows * heads * vs));
			CU_FAIL("attention");
		}
	}
}

static void norms_and_rope(bool exact)
{
	(void)exact;
	for (uint32_t width = 3; width < 200; width += 29) {
		const uint32_t rows = 3, groups = 2, stride = groups * width + 5;

		pool_used = 0;
		const float *x = noise((size_t)rows * stride), *weight = noise(width);
		float *got = room((size_t)rows * stride);
		const struct op_norm op = { .dst = at(got),
					    .src = at(x),
					    .weight = at(weight),
					    .rows = rows,
					    .groups = groups,
					    .width = width,
					    .dst_stride = stride,
					    .src_stride = stride,
					    .eps = 1e-5f };

		RUN(norm, op);
		for (uint32_t r = 0; r < rows; r++)
			for (uint32_t g = 0; g < groups; g++) {
				const size_t base = (size_t)r * stride + g * width;
				double square = 0;

				for (uint32_t i = 0; i < width; i++)
					square += (double)x[base + i] * (double)x[base + i];
				for (uint32_t i = 0; i < width; i++)
					CU_ASSERT_DOUBLE_EQUAL(got[base + i],
							       (double)x[base + i] *
								       (double)weight[i] /
								       sqrt(square / width + 1e-5),
							       1e-5);
			}
	}
	static const uint32_t positions[] = { 0, 1000, 131071, 1 << 20, (1 << 24) - 5 };

	for (size_t round = 0; round < 2 * ARRAY_SIZE(positions); round++) {
		const uint32_t rows = 5, heads = 3, size = 14, pairs = 5,
			       first = positions[round / 2];
		const bool interleaved = round % 2;

		pool_used = 0;
		float *x = noise((size_t)rows * heads * size),
		      *before = room((size_t)rows * heads * size);
		const float *frequency = noise(pairs);

		memcpy(before, x, (size_t)rows * heads * size * sizeof(float));
		const struct op_rope op = { .x = at(x),
					    .frequency = at(frequency),
					    .rows = rows,
					    .heads = heads,
					    .head_stride = size,
					    .stride = heads * size,
					    .pairs = pairs,
					    .position = at(number(first)),
					    .interleaved = interleaved,
					    .magnitude = 1.25f };

		RUN(rope, op);
		for (uint32_t r = 0; r < rows; r++)
			for (uint32_t h = 0; h < heads; h++)
				for (uint32_t i = 0; i < size; i++) {
					const size_t base = ((size_t)r * heads + h) * size;
					const uint32_t pair = interleaved ? i / 2 : i % pairs;
					const bool second = interleaved ? i % 2 : i >= pairs;
					const uint32_t a = interleaved ? 2 * pair : pair;
					const uint32_t b = interleaved ? 2 * pair + 1
								       : pair + pairs;
					const double angle =
						(double)((float)(first + r) * frequency[pair]);

					double y = (double)before[base + i];

					if (i < 2 * pairs) {
						const double u = 1.25 * (double)before[base + a];
						const double w = 1.25 * (double)before[base + b];

						y = second ? u * sin(angle) + w * cos(angle)
							   : u * cos(angle) - w * sin(angle);
					}
					CU_ASSERT_DOUBLE_EQUAL(x[base + i], y, 1e-4);
				}
	}
}

static void routing(bool exact)
{
	static const float logits_in[2][8] = { { 1, 5, 2, 4, 3, 0, -1, 4.5f },
					       { NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN } };
	static const float bias_in[8] = { 0, 0, 0, 0, 0, 10, 0, 0 };

	pool_used = 0;
	float *logits = room(16), *bias = room(8), *weights_out = room(6);
	uint32_t *ids = (uint32_t *)(void *)room(6);

	memcpy(logits, logits_in, sizeof(logits_in));
	memcpy(bias, bias_in, sizeof(bias_in));
	struct op_route op = { .ids = at(ids),
			       .weights = at(weights_out),
			       .logits = at(logits),
			       .rows = 2,
			       .experts = 8,
			       .used = 3,
			       .gating = GATING_SOFTMAX,
			       .normalize = true,
			       .scale = 2 };

	(void)exact;
	RUN(route, op);
	CU_ASSERT(ids[0] == 1 && ids[1] == 7 && ids[2] == 3);
	CU_ASSERT_DOUBLE_EQUAL(weights_out[0], 2 / (1 + exp(-0.5) + exp(-1)), 1e-5);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(ids[3 + i] < 8);
	op.gating = GATING_SIGMOID;
	op.bias = at(bias);
	op.normalize = false;
	op.scale = 1;
	op.rows = 1;
	RUN(route, op);
	CU_ASSERT(ids[0] == 5 && ids[1] == 1 && ids[2] == 7);
	CU_ASSERT_DOUBLE_EQUAL(weights_out[0], 0.5, 1e-6);
	/* groups 0-1, 2-3, 4-5, 6-7: the best two are the second and the first */
	op.bias = 0;
	op.groups = 4;
	op.groups_used = 2;
	RUN(route, op);
	CU_ASSERT(ids[0] == 1 && ids[1] == 3 && ids[2] == 2);
	op.groups = 0;
	op.gating = GATING_SOFTMAX_CHOSEN;
	op.normalize = true; /* which it already is */
	RUN(route, op);
	CU_ASSERT_DOUBLE_EQUAL(weights_out[1], exp(-0.5) / (1 + exp(-0.5) + exp(-1)), 1e-5);
}

static void activations(bool exact)
{
	(void)exact;
	for (int kind = ACTIVATION_SILU; kind <= ACTIVATION_SILU_ONLY; kind++) {
		const uint32_t width = 61, rows = 2;

		pool_used = 0;
		float *gate = noise(2 * width * rows), *up = noise(width * rows),
		      *got = room(width * rows);

		for (uint32_t i = 0; i < width; i++) {
			gate[i] *= 20; /* beyond what exp() can take, too */
			up[i] *= i % 3 ? 1 : 200;
		}
		const struct op_glu op = { .dst = at(got),
					   .gate = at(gate),
					   .up = at(up),
					   .rows = rows,
					   .width = width,
					   .gate_stride = 2 * width,
					   .up_stride = width,
					   .activation = (enum stoker_activation)kind };

		RUN(glu, op);
		for (uint32_t r = 0; r < rows; r++)
			for (uint32_t i = 0; i < width; i++) {
				const double wanted = act((enum stoker_activation)kind,
							  (double)gate[r * 2 * width + i],
							  (double)up[r * width + i]);

				CU_ASSERT_DOUBLE_EQUAL(got[r * width + i], wanted,
						       1e-5 * fmax(1, fabs(wanted)));
			}
	}
}

/* A convolution and a delta rule over rows at once equal the same over one row after the other. */
static void recurrence(bool exact)
{
	const uint32_t rows = 7, channels = 147, taps = 4, heads = 4, key_heads = 2, size = 12;
	const uint32_t width = (2 * key_heads + heads) * size;

	(void)exact;
	pool_used = 0;
	const float *x = noise((size_t)rows * channels), *w = noise((size_t)channels * taps);
	float *state = room((size_t)channels * (taps - 1)), *got = room((size_t)rows * channels);
	struct op_conv conv = { .dst = at(got),
				.src = at(x),
				.weight = at(w),
				.state = at(state),
				.rows = rows,
				.channels = channels,
				.taps = taps,
				.dst_stride = channels,
				.src_stride = channels };

	memset(state, 0, (size_t)channels * (taps - 1) * sizeof(float));
	RUN(conv, conv);
	for (uint32_t t = 0; t < rows; t++)
		for (uint32_t c = 0; c < channels; c++) {
			double y = 0;

			for (uint32_t j = 0; j < taps; j++)
				if (t + j + 1 >= taps)
					y += (double)w[c * taps + j] *
					     (double)x[(t + j + 1 - taps) * channels + c];
			CU_ASSERT_DOUBLE_EQUAL(got[t * channels + c], y, 1e-5);
		}
	/* the same in two parts, of which the second has the first's state, and as silu */
	float *parts = room((size_t)rows * channels);

	memset(state, 0, (size_t)channels * (taps - 1) * sizeof(float));
	conv.dst = at(parts);
	conv.silu = true;
	conv.rows = 2;
	RUN(conv, conv);
	conv.dst = at(parts + 2 * channels);
	conv.src = at(x + 2 * channels);
	conv.rows = rows - 2;
	RUN(conv, conv);
	for (uint32_t i = 0; i < rows * channels; i++)
		CU_ASSERT_DOUBLE_EQUAL(parts[i], got[i] / (1 + exp(-(double)got[i])), 1e-5);
	const float *qkv = noise((size_t)rows * width), *alpha = noise((size_t)rows * heads);
	const float *beta = noise((size_t)rows * heads), *dt = noise(heads), *a = noise(heads);
	float *s = room((size_t)heads * size * size), *out = room((size_t)rows * heads * size);
	double *reference = doubles((size_t)size * size), wanted[64], change[64];
	const struct op_delta_net op = { .dst = at(out),
					 .q = at(qkv),
					 .k = at(qkv + key_heads * size),
					 .v = at(qkv + 2 * key_heads * size),
					 .alpha = at(alpha),
					 .beta = at(beta),
					 .dt = at(dt),
					 .a = at(a),
					 .state = at(s),
					 .rows = rows,
					 .key_heads = key_heads,
					 .value_heads = heads,
					 .size = size,
					 .qkv_stride = width,
					 .dst_stride = heads * size };

	memset(s, 0, (size_t)heads * size * size * sizeof(float));
	RUN(delta_net, op);
	for (uint32_t h = 0; h < heads; h++) {
		memset(reference, 0, (size_t)size * size * sizeof(*reference));
		for (uint32_t t = 0; t < rows; t++) {
			const float *q = qkv + (size_t)t * width + h % key_heads * size,
				    *k = q + key_heads * size;
			const float *v = qkv + (size_t)t * width + (2 * key_heads + h) * size;
			const double decay =
				exp(log1p(exp((double)alpha[t * heads + h] + (double)dt[h])) *
				    (double)a[h]);
			const double b = 1 / (1 + exp(-(double)beta[t * heads + h]));

			for (uint32_t i = 0; i < size * size; i++)
				reference[i] *= decay;
			for (uint32_t j = 0; j < size; j++) {
				change[j] = (double)v[j];
				for (uint32_t i = 0; i < size; i++)
					change[j] -= reference[i * size + j] * (double)k[i];
				change[j] *= b;
			}
			for (uint32_t j = 0; j < size; j++) {
				wanted[j] = 0;
				for (uint32_t i = 0; i < size; i++) {
					reference[i * size + j] += (double)k[i] * change[j];
					wanted[j] +=
						reference[i * size + j] * (double)q[i] / sqrt(size);
				}
				CU_ASSERT_DOUBLE_EQUAL(out[((size_t)t * heads + h) * size + j],
						       wanted[j], 1e-4 * fmax(1, fabs(wanted[j])));
			}
		}
	}
}

static void test_experts(void)
{
	run_all_sets(experts);
}

static void test_attention(void)
{
	uint64_t bits;

	run_all_sets(attention);
	/* more threads than stretches of the past, and than key-value heads: the same results */
	run_on("cpu", false, attention);
	bits = attention_bits;
	for (threads = 1; threads < 40; threads = threads < 7 ? 7 : threads + 13) {
		run_on("cpu", false, attention);
		CU_ASSERT_EQUAL(attention_bits, bits);
	}
	threads = 2;
}

static void test_norms_and_rope(void)
{
	run_all_sets(norms_and_rope);
}

static void test_routing(void)
{
	run_all_sets(routing);
}

static void test_activations(void)
{
	run_all_sets(activations);
}

static void test_recurrence(void)
{
	run_all_sets(recurrence);
}

/* GPU-assisted validation says nothing above: here is something to say. */
static void test_bad_address(void)
{
	const struct stoker_device_params params = { .name = "vulkan" };
	struct stoker_error err = { "" };

	if (!vulkan_is_here() || !strstr(vulkan_words(), "validate-gpu"))
		return;
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, &err), 0);
	ops = device->ops;
	CU_ASSERT_EQUAL_FATAL(ops->memory_create(device, 4096, &memory, &err), 0);
	const struct op_copy far = { .dst = memory.at,
				     .src = memory.at + ((uint64_t)1 << 40),
				     .rows = 1,
				     .width = 16,
				     .dst_stride = 16,
				     .src_stride = 16 };

	CU_ASSERT_EQUAL(ops->begin(device, &err), 0);
	device_copy(device, &far);
	CU_ASSERT(ops->submit(device, NULL, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "bounds"));
	ops->memory_destroy(device, &memory);
	stoker_device_close(&device);
}

/* An op reads memory of another driver; a memfd stands in for its dma-buf. */
static void import_on(const char *name)
{
	const struct stoker_device_params params = { .name = name, .threads = 2 };
	enum { BYTES = 1 << 20, BEHIND = 1 << 16, FLOATS = 64 };
	struct stoker_memory imported, own;
	struct stoker_error err = { "" };
	float back[FLOATS], *host;
	const int fd = memfd_create("dma-buf", MFD_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0 && !ftruncate(fd, BYTES + BEHIND));
	host = mmap(NULL, BYTES + BEHIND, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, &err), 0);
	if (device->ops->memory_import(device, host, fd, BYTES, &imported, &err)) {
		skip("importing memory", err.message);
	} else {
		CU_ASSERT_EQUAL_FATAL(device->ops->memory_create(device, 4096, &own, &err), 0);
		const struct op_copy copy = { .dst = own.at,
					      .src = imported.at + BYTES - sizeof(back),
					      .rows = 1,
					      .width = FLOATS,
					      .dst_stride = FLOATS,
					      .src_stride = FLOATS };

		for (int i = 0; i < FLOATS; i++)
			host[BYTES / sizeof(*host) - FLOATS + i] = (float)i + 0.5f;
		CU_ASSERT_EQUAL(device->ops->begin(device, &err), 0);
		device_copy(device, &copy);
		CU_ASSERT_EQUAL(device->ops->submit(device, NULL, &err), 0);
		CU_ASSERT_EQUAL(device->ops->read(device, back, own.at, sizeof(back), &err), 0);
		for (int i = 0; i < FLOATS; i++)
			CU_ASSERT_EQUAL(back[i], (float)i + 0.5f);
		device->ops->memory_destroy(device, &own);
		device->ops->memory_destroy(device, &imported);
	}
	stoker_device_close(&device);
	munmap(host, BYTES + BEHIND);
	close(fd);
}

static void test_import(void)
{
	import_on("cpu");
	if (vulkan_is_here())
		import_on("vulkan");
}

void suite_ops(void)
{
	TEST(test_import);
	TEST(test_bad_address);
	add_products();
	TEST(test_experts);
	TEST(test_attention);
	TEST(test_norms_and_rope);
	TEST(test_routing);
	TEST(test_activations);
	TEST(test_recurrence);
	add_sequences();
}
