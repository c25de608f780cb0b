// SPDX-License-Identifier: MIT
/* Attention over caches in every format, and what brings queries, keys and values there. */
#include "cache.h"

/* What a cache of @n values holds, as floats. */
static const float *cached(const void *cache, enum stoker_kv_format format, size_t n)
{
	static const char *const names[] = {
		[STOKER_KV_F32] = "F32", [STOKER_KV_F16] = "F16", [STOKER_KV_Q8_0] = "Q8_0"
	};
	float *values = room(n);

	stoker_format_decode(stoker_format_by_name(names[format]), cache, values, n);
	return values;
}

static uint64_t attention_bits; /* a hash of all results */
static enum placing placing;

static const struct attention_case {
	uint32_t heads, kv_heads, key, value, window, position, rows;
	bool sinks, shared;
	float softcap;
	enum stoker_kv_format format;
	double limit;
} attention_cases[] = {
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
	/* a window that is full from some row on */
	{ 4, 2, 32, 32, 9, 0, 20, false, false, 0, STOKER_KV_F32, 1e-5 },
	/* so many queries that keys become columns */
	{ 8, 1, 72, 40, 0, 0, 35, false, false, 0, STOKER_KV_F16, 2e-3 },
	{ 4, 2, 24, 32, 45, 70, 40, true, false, 0, STOKER_KV_F32, 1e-5 },
	{ 6, 1, 64, 32, 0, 100, 33, false, true, 5, STOKER_KV_Q8_0, 2e-2 },
	{ 16, 2, 128, 128, 0, 190, 9, false, false, 0, STOKER_KV_F16, 2e-3 },
	/* codes: all numbers of queries that go together, sizes, parts of tiles and of pages */
	{ 8, 8, 64, 64, 0, 90, 1, false, false, 0, STOKER_KV_Q8_0, 2e-2 },
	{ 6, 3, 96, 64, 0, 129, 1, true, false, 0, STOKER_KV_Q8_0, 2e-2 },
	{ 15, 1, 64, 64, 0, 600, 1, true, false, 30, STOKER_KV_Q8_0, 2e-2 },
	{ 8, 2, 96, 96, 100, 200, 70, true, false, 0, STOKER_KV_Q8_0, 2e-2 },
	{ 4, 1, 64, 96, 10, 0, 33, false, false, 0, STOKER_KV_Q8_0, 2e-2 },
};

/* Caches are filled by the device; the reference sees what they were before they were rounded. */
static void attend(const struct attention_case *c)
{
	const uint32_t kv = c->kv_heads, ks = c->key, vs = c->value, total = c->position + c->rows;
	const size_t keys_count = (size_t)total * kv * ks, values_count = (size_t)total * kv * vs;
	const size_t q_count = (size_t)c->rows * c->heads * ks;
	const size_t count = (size_t)c->rows * c->heads * vs;

	pool_used = 0;
	const float *q = noise(q_count), *k = noise(keys_count);
	const float *v = c->shared ? NULL : noise(values_count), *sinks = noise(c->heads);
	struct test_cache cache =
		cache_make(placing, c->format, total, kv, ks, c->shared ? 0 : vs, 0xff);
	const stoker_address start = cache_places(&cache, 0, total);
	double *wanted = doubles(count);
	float *got = room(count);
	const struct op_kv_store store_k = { .cache = cache.keys,
					     .src = at(k),
					     .places = start,
					     .format = c->format,
					     .rows = total,
					     .heads = kv,
					     .width = ks,
					     .stride = kv * ks };
	const struct op_kv_store store_v = { .cache = cache.values,
					     .src = at(v),
					     .places = start,
					     .format = c->format,
					     .rows = total,
					     .heads = kv,
					     .width = vs,
					     .stride = kv * vs };
	const struct op_attention op = { .dst = at(got),
					 .q = at(q),
					 .keys = cache.keys,
					 .values = c->shared ? cache.keys : cache.values,
					 .sinks = c->sinks ? at(sinks) : 0,
					 .key_format = c->format,
					 .value_format = c->format,
					 .rows = c->rows,
					 .places = cache_places(&cache, c->position, c->rows),
					 .heads = c->heads,
					 .kv_heads = kv,
					 .key_size = ks,
					 .value_size = vs,
					 .window = c->window,
					 .q_stride = c->heads * ks,
					 .q_head_stride = ks,
					 .dst_stride = c->heads * vs,
					 .shared_value = c->shared,
					 .scale = 0.3f,
					 .softcap = c->softcap };

	RUN(kv_store, store_k);
	if (v)
		RUN(kv_store, store_v);
	RUN(attention, op);
	reference_attention(&op, doubles_of(q, q_count), doubles_of(k, keys_count),
			    v ? doubles_of(v, values_count) : NULL,
			    c->sinks ? doubles_of(sinks, c->heads) : NULL, c->position, wanted);
	for (size_t i = 0; i < count; i++)
		attention_bits = (attention_bits ^ bits_of_float(got[i])) * 0x100000001b3;
	check("attention", got, wanted, count, c->limit);
	CU_ASSERT(cache_is_clean(&cache));
	cache_free(&cache);
}

static void attention(bool exact)
{
	(void)exact;
	attention_bits = 0;
	for (size_t i = 0; i < ARRAY_SIZE(attention_cases); i++)
		attend(&attention_cases[i]);
}

/* Pages may be anywhere, and nothing beside them is touched. */
static void fenced_attention(bool exact)
{
	uint64_t bits;

	attention(exact);
	bits = attention_bits;
	if (!memory_is_shared())
		return;
	for (placing = PLACE_BEFORE_FENCE; placing <= PLACE_BEHIND_FENCE; placing++) {
		random_seed(5);
		attention(exact);
		CU_ASSERT_EQUAL(attention_bits, bits);
	}
	placing = PLACE_SHUFFLED;
}

/* Rows of several sequences, whose results are those of each by itself, to the bit. */
static void attend_together(enum stoker_kv_format format, uint32_t window)
{
	static const struct {
		uint32_t begin, rows, position;
	} parts[] = { { 0, 3, 290 }, { 3, 1, 600 }, { 4, 33, 0 }, { 37, 2, 62 } };
	enum { ROWS = 39, HEADS = 4, KV = 2, SIZE = 32, WIDTH = HEADS * SIZE };
	const size_t count = ROWS * WIDTH;

	pool_used = 0;
	float *together = zeros(count), *alone = zeros(count);
	const float *q = noise(count), *sinks = noise(HEADS);
	struct row_place *all =
		(struct row_place *)(void *)room(ROWS * sizeof(*all) / sizeof(float));
	struct op_attention op = { .dst = at(together),
				   .q = at(q),
				   .sinks = at(sinks),
				   .places = at(all),
				   .key_format = format,
				   .value_format = format,
				   .rows = ROWS,
				   .heads = HEADS,
				   .kv_heads = KV,
				   .key_size = SIZE,
				   .value_size = SIZE,
				   .window = window,
				   .q_stride = WIDTH,
				   .q_head_stride = SIZE,
				   .dst_stride = WIDTH,
				   .scale = 0.3f };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const uint32_t total = parts[i].position + parts[i].rows;
		const struct test_cache cache =
			cache_make(PLACE_SHUFFLED, format, total, KV, SIZE, SIZE, 0xff);
		struct op_kv_store store = { .cache = cache.keys,
					     .src = at(noise((size_t)total * KV * SIZE)),
					     .places = cache_places(&cache, 0, total),
					     .format = format,
					     .rows = total,
					     .heads = KV,
					     .width = SIZE,
					     .stride = KV * SIZE };

		RUN(kv_store, store);
		store.cache = cache.values;
		RUN(kv_store, store);
		for (uint32_t r = 0; r < parts[i].rows; r++)
			all[parts[i].begin + r] =
				(struct row_place){ .pages = cache.table,
						    .position = parts[i].position + r };
		op.keys = cache.keys;
		op.values = cache.values;
	}
	RUN(attention, op);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		op.dst = at(alone + parts[i].begin * WIDTH);
		op.q = at(q + parts[i].begin * WIDTH);
		op.places = at(all + parts[i].begin);
		op.rows = parts[i].rows;
		RUN(attention, op);
	}
	for (size_t i = 0; i < count; i++)
		CU_ASSERT(!isnan(together[i]));
	CU_ASSERT(!memcmp(together, alone, count * sizeof(*alone)));
}

static void sequences_together(bool exact)
{
	(void)exact;
	for (int format = 0; format <= STOKER_KV_Q8_0; format++) {
		attend_together((enum stoker_kv_format)format, 0);
		attend_together((enum stoker_kv_format)format, 45);
	}
}

/* Rows with gaps in between to the middle of a cache, which stays what it was elsewhere. */
static void kv_store(bool exact)
{
	static const double limits[] = {
		[STOKER_KV_F32] = 0, [STOKER_KV_F16] = 1e-3, [STOKER_KV_Q8_0] = 1e-2
	};

	(void)exact;
	for (int format = 0; format <= STOKER_KV_Q8_0; format++) {
		const uint32_t rows = 70, heads = 3, width = 96, stride = width + 5, first = 60,
			       places = 140;
		const size_t all = (size_t)places * width;

		pool_used = 0;
		const float *src = noise((size_t)rows * stride);
		const struct test_cache cache = cache_make(PLACE_SHUFFLED,
							   (enum stoker_kv_format)format, places,
							   heads, width / heads, 0, 0);
		double *wanted = doubles_of(zeros(all), all);
		const struct op_kv_store op = { .cache = cache.keys,
						.src = at(src),
						.places = cache_places(&cache, first, rows),
						.format = (enum stoker_kv_format)format,
						.rows = rows,
						.heads = heads,
						.width = width / heads,
						.stride = stride };

		reference_kv_store(&op, first, doubles_of(src, (size_t)rows * stride), wanted);
		RUN(kv_store, op);
		check_each(cached(cache_keys(&cache), op.format, all), wanted, all, limits[format]);
		CU_ASSERT(cache_is_clean(&cache));
	}
}

static void test_attention(void)
{
	uint64_t bits;

	run_all_sets(fenced_attention);
	run_all_sets(sequences_together);
	/* more threads than stretches of the past, and than key-value heads: the same results */
	run_on("cpu", false, attention);
	bits = attention_bits;
	for (threads = 1; threads < 40; threads = threads < 7 ? 7 : threads + 13) {
		run_on("cpu", false, attention);
		CU_ASSERT_EQUAL(attention_bits, bits);
	}
	threads = 2;
}

/* What op_qkv works on, beside shapes. */
struct heads {
	float *q, *k;
	struct test_cache cache;
};

static struct heads heads_of(const struct op_qkv *op, const float *q, const float *k,
			     uint32_t cached)
{
	const size_t q_count = (size_t)op->rows * op->heads * op->key_size;
	const size_t k_count = (size_t)op->rows * op->kv_heads * op->key_size;

	return (struct heads){ .q = memcpy(room(q_count), q, q_count * sizeof(*q)),
			       .k = memcpy(room(k_count), k, k_count * sizeof(*k)),
			       .cache = cache_make(PLACE_SHUFFLED, op->key_format, cached,
						   op->kv_heads, op->key_size, op->value_size, 0) };
}

static struct op_qkv on(const struct op_qkv *shapes, const struct heads *h, uint32_t position)
{
	struct op_qkv op = *shapes;

	op.q = at(h->q);
	op.k = at(h->k);
	op.keys = h->cache.keys;
	op.values = h->cache.values;
	op.places = cache_places(&h->cache, position, op.rows);
	return op;
}

/* op_qkv beside the ops that it stands for, and beside the reference. */
static void check_qkv(const struct op_qkv *shapes, const float *v, const float *q_weight,
		      const float *k_weight, const float *frequency)
{
	const uint32_t rows = shapes->rows, position = 62, places = rows + position;
	const size_t row_keys = (size_t)shapes->kv_heads * shapes->key_size;
	const size_t row_values = (size_t)shapes->kv_heads * shapes->value_size;
	const size_t q_count = (size_t)rows * shapes->heads * shapes->key_size;
	const size_t keys_count = places * row_keys, values_count = places * row_values;
	const double limit = shapes->key_format == STOKER_KV_F16 ? 4e-3 : 1e-5;
	const float *q = noise(q_count), *k = noise(rows * row_keys);
	const struct heads whole = heads_of(shapes, q, k, places);
	const struct heads parts = heads_of(shapes, q, k, places);
	double *q_wanted = doubles_of(q, q_count), *k_wanted = doubles_of(k, rows * row_keys);
	double *keys_wanted = doubles_of(zeros(keys_count), keys_count);
	double *values_wanted = doubles_of(zeros(values_count), values_count);
	const size_t weights_count = (shapes->norm_whole ? shapes->heads : 1) * shapes->key_size;
	struct op_qkv op = on(shapes, &whole, position), in_parts = on(shapes, &parts, position);

	carry(to_device);
	CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
	device_qkv(device, &op);
	CU_ASSERT(device_qkv_in_parts(device, &in_parts));
	submit();
	carry(from_device);
	reference_qkv(&op, op.q_norm ? doubles_of(q_weight, weights_count) : NULL,
		      op.k_norm ? doubles_of(k_weight, weights_count) : NULL,
		      doubles_of(frequency, op.key_size / 2), position, q_wanted, k_wanted,
		      doubles_of(v, rows * row_values), keys_wanted, values_wanted);

	const float *keys = cached(cache_keys(&whole.cache), op.key_format, keys_count);
	const void *values = cache_values(&whole.cache);

	check_each(whole.q, doubles_of(parts.q, q_count), q_count, 1e-5);
	check_each(keys,
		   doubles_of(cached(cache_keys(&parts.cache), op.key_format, keys_count),
			      keys_count),
		   keys_count, limit);
	CU_ASSERT(!memcmp(values, cache_values(&parts.cache),
			  stoker_kv_row_bytes(op.key_format, values_count)));
	CU_ASSERT(cache_is_clean(&whole.cache));
	CU_ASSERT(cache_is_clean(&parts.cache));
	check_each(whole.q, q_wanted, q_count, 1e-5);
	check_each(keys, keys_wanted, keys_count, limit);
	check_each(cached(values, op.key_format, values_count), values_wanted, values_count,
		   op.key_format == STOKER_KV_F16 ? 1e-3 : 0);
}

static void heads_to_cache(bool exact)
{
	(void)exact;
	for (unsigned i = 0; i < 96; i++) {
		const uint32_t rows = 1 + i % 3, heads = 4, kv = 2, ks = 14 + i / 16 % 3, vs = 10;

		pool_used = 0;
		const float *v = noise((size_t)rows * kv * vs), *frequency = noise(ks / 2);
		const float *q_weight = noise(heads * ks), *k_weight = noise(heads * ks);
		const struct op_qkv shapes = { .v = at(v),
					       .q_norm = i & 2 ? at(q_weight) : 0,
					       .k_norm = i & 2 ? at(k_weight) : 0,
					       .frequency = at(frequency),
					       .key_format = i & 1 ? STOKER_KV_F16 : STOKER_KV_F32,
					       .value_format = i & 1 ? STOKER_KV_F16
								     : STOKER_KV_F32,
					       .rows = rows,
					       .heads = heads,
					       .kv_heads = kv,
					       .key_size = ks,
					       .value_size = vs,
					       .pairs = i & 4	? ks / 2
							: i % 5 ? 3
								: 0,
					       .interleaved = i & 8,
					       .norm_whole = i >= 48,
					       .eps = 1e-5f,
					       .magnitude = 1.25f };

		check_qkv(&shapes, v, q_weight, k_weight, frequency);
	}
}

static void test_kv_store(void)
{
	run_all_sets(kv_store);
}

static void test_heads_to_cache(void)
{
	run_all_sets(heads_to_cache);
}

void add_attention(void)
{
	TEST(test_attention);
	TEST(test_kv_store);
	TEST(test_heads_to_cache);
}
