// SPDX-License-Identifier: MIT
/* Attention over keys and values of every format beside every other, and their rounding alone. */
#include "cache.h"

/* Queries, and a cache of noise that the device has filled. */
static const struct shape {
	uint32_t heads, kv_heads, key, value, window, position, rows;
	bool sinks, shared;
	float softcap;
} shapes[] = {
	/* one query to nine that share a head, sizes that fill no blocks, parts of tiles and pages
	 */
	{ 8, 8, 64, 64, 0, 100, 1, false, false, 0 },
	{ 9, 3, 80, 48, 0, 129, 1, true, false, 0 },
	{ 15, 1, 128, 128, 0, 520, 1, true, false, 30 },
	{ 8, 1, 256, 256, 0, 17, 2, false, false, 0 },
	{ 8, 2, 96, 96, 100, 200, 40, true, false, 0 },
	{ 4, 1, 64, 96, 10, 0, 33, false, false, 5 },
	{ 5, 1, 100, 72, 0, 100, 20, false, false, 0 },
	{ 16, 1, 576, 512, 0, 66, 1, false, true, 0 },
};

struct scene {
	struct test_cache cache;
	const float *q, *sinks;
	float *got;
	struct op_attention op;
};

static void store(const struct scene *s, const struct shape *c, const float *src, bool values)
{
	const uint32_t total = c->position + c->rows, width = values ? c->value : c->key;
	const struct op_kv_store op = { .cache = values ? s->cache.values : s->cache.keys,
					.src = at(src),
					.places = cache_places(&s->cache, 0, total),
					.format = values ? s->op.value_format : s->op.key_format,
					.rows = total,
					.heads = c->kv_heads,
					.width = width,
					.stride = c->kv_heads * width };

	RUN(kv_store, op);
}

static bool device_keeps(enum stoker_kv_format format)
{
	const struct op_kv_store op = { .format = format };

	return device_supports(device, STOKER_OP_KV_STORE, &op);
}

/* @k and @v: what goes into the cache, as noise would. */
static struct scene make_scene(const struct shape *c, enum stoker_kv_format keys,
			       enum stoker_kv_format values, const float *k, const float *v)
{
	const uint32_t total = c->position + c->rows;
	struct scene s = {
		.cache = cache_make_apart(PLACE_SHUFFLED, keys, values, total, c->kv_heads, c->key,
					  c->shared ? 0 : c->value, 0xff),
		.q = noise((size_t)c->rows * c->heads * c->key),
		.sinks = noise(c->heads),
		.got = zeros((size_t)c->rows * c->heads * c->value),
	};

	s.op = (struct op_attention){ .dst = at(s.got),
				      .q = at(s.q),
				      .keys = s.cache.keys,
				      .values = c->shared ? s.cache.keys : s.cache.values,
				      .sinks = c->sinks ? at(s.sinks) : 0,
				      .key_format = keys,
				      .value_format = values,
				      .rows = c->rows,
				      .places = cache_places(&s.cache, c->position, c->rows),
				      .heads = c->heads,
				      .kv_heads = c->kv_heads,
				      .key_size = c->key,
				      .value_size = c->value,
				      .window = c->window,
				      .q_stride = c->heads * c->key,
				      .q_head_stride = c->key,
				      .dst_stride = c->heads * c->value,
				      .shared_value = c->shared,
				      .scale = 0.3f,
				      .softcap = c->softcap };
	store(&s, c, k, false);
	if (!c->shared)
		store(&s, c, v, true);
	return s;
}

/* What @rows rows of @width values are in a cache, in which they fill whole blocks. */
static double *decoded(const uint8_t *bytes, enum stoker_kv_format format, size_t rows,
		       uint32_t width)
{
	static const char *const names[STOKER_KV_FORMATS] = { "F32", "F16", "Q8_0", "Q5_0",
							      "Q4_0" };
	const struct stoker_format *f = stoker_format_by_name(names[format]);
	double *values = doubles(rows * width);
	float row[1024];

	for (size_t r = 0; r < rows; r++, bytes += stoker_kv_row_bytes(format, width)) {
		stoker_format_decode(f, bytes, row,
				     format > STOKER_KV_F16 ? round_up(width, 32) : width);
		for (uint32_t i = 0; i < width; i++)
			values[r * width + i] = (double)row[i];
	}
	return values;
}

/* Beside a reference that sees what the cache holds, so that nothing but the op rounds. */
static void check_scene(const struct scene *s, const struct shape *c, double limit)
{
	const size_t rows = (size_t)(c->position + c->rows) * c->kv_heads;
	const size_t count = (size_t)c->rows * c->heads * c->value;
	double *wanted = doubles(count);

	RUN(attention, s->op);
	reference_attention(&s->op, doubles_of(s->q, (size_t)c->rows * c->heads * c->key),
			    decoded(cache_keys(&s->cache), s->op.key_format, rows, c->key),
			    c->shared ? NULL
				      : decoded(cache_values(&s->cache), s->op.value_format, rows,
						c->value),
			    c->sinks ? doubles_of(s->sinks, c->heads) : NULL, c->position, wanted);
	check("attention", s->got, wanted, count, limit);
	CU_ASSERT(cache_is_clean(&s->cache));
}

static void formats_apart(bool exact)
{
	(void)exact;
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		for (int pair = 0; pair < STOKER_KV_FORMATS * STOKER_KV_FORMATS; pair++) {
			const struct shape *c = &shapes[i];
			const enum stoker_kv_format keys = pair / STOKER_KV_FORMATS,
						    values = pair % STOKER_KV_FORMATS;
			const size_t rows = (size_t)(c->position + c->rows) * c->kv_heads;

			pool_used = 0;
			if (!device_keeps(keys) || !device_keeps(values) ||
			    (c->shared && keys != values))
				continue;
			const float *k = noise(rows * c->key), *v = noise(rows * c->value);
			const struct scene s = make_scene(c, keys, values, k, v);

			check_scene(&s, c, 2e-4);
		}
}

/*
 * Weights are rounded by the largest of a tile and of its rows' scales: where one row stands out by
 * far, in its weight and with small values, those of others still count.  What is left over is
 * small beside them, which is what the limit says.
 */
static void one_row_stands_out(bool exact)
{
	static const struct shape c = { 4, 1, 64, 64, 0, 299, 1, false, false, 0 };
	enum { TOTAL = 300, SIZE = 64, ROW = 70 };

	(void)exact;
	pool_used = 0;
	float *k = noise(TOTAL * SIZE), *v = noise(TOTAL * SIZE);

	for (size_t i = 0; i < SIZE; i++) {
		k[ROW * SIZE + i] *= 6;
		v[ROW * SIZE + i] *= 1e-3f;
	}
	const struct scene s = make_scene(&c, STOKER_KV_Q8_0, STOKER_KV_Q8_0, k, v);

	check_scene(&s, &c, 2e-3);
}

/* What isn't a number reaches rows that see it, and no others. */
static void broken_rows(bool exact)
{
	static const struct shape c = { 2, 1, 32, 32, 0, 0, 70, false, false, 0 };
	enum { TOTAL = 70, BROKEN = 66, SIZE = 32 };

	(void)exact;
	for (int values = 0; values < 2 && memory_is_shared(); values++) {
		pool_used = 0;
		const float *k = noise(TOTAL * SIZE);
		const struct scene s = make_scene(&c, STOKER_KV_Q8_0, STOKER_KV_Q8_0, k, k);

		memset(s.cache.page[1] + (values ? s.cache.values : s.cache.keys) +
			       (BROKEN - KV_PAGE_ROWS) * s.cache.key_row,
		       0xff, 2);
		RUN(attention, s.op);
		for (size_t i = 0; i < TOTAL * 2 * SIZE; i++)
			CU_ASSERT_EQUAL(!isnan(s.got[i]), i < BROKEN * 2 * SIZE);
	}
}

static void test_formats_apart(void)
{
	run_all_sets(formats_apart);
}

static void test_rounded_weights(void)
{
	run_all_sets(one_row_stands_out);
	run_all_sets(broken_rows);
}

void add_attention_formats(void)
{
	TEST(test_formats_apart);
	TEST(test_rounded_weights);
}
