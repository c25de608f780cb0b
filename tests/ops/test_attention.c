// SPDX-License-Identifier: MIT
/* Attention over caches in every format, and what brings queries, keys and values there. */
#include "ops.h"

/* Of floats, or of half floats in their place. */
static double value_of(const float *values, size_t i, size_t bytes)
{
	return bytes == 4 ? (double)values[i]
			  : (double)f16_to_f32(((const uint16_t *)(const void *)values)[i]);
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

/* op_qkv beside the ops that it stands for. */
static void heads_to_cache(bool exact)
{
	(void)exact;
	for (unsigned i = 0; i < 48; i++) {
		const uint32_t rows = 1 + i % 3, heads = 4, kv = 2, ks = 14 + i / 16, vs = 10;
		const uint32_t k_width = kv * ks, v_width = kv * vs, places = rows + 3;
		const enum stoker_kv_format format = i & 1 ? STOKER_KV_F16 : STOKER_KV_F32;
		const size_t bytes = i & 1 ? 2 : 4;

		pool_used = 0;
		float *q[2], *k[2], *keys[2], *values[2];
		const float *q_source = noise((size_t)rows * heads * ks);
		const float *k_source = noise((size_t)rows * k_width);
		const float *v = noise((size_t)rows * v_width), *frequency = noise(ks / 2);
		const float *q_weight = noise(ks), *k_weight = noise(ks);

		for (int j = 0; j < 2; j++) {
			q[j] = room((size_t)rows * heads * ks);
			k[j] = room((size_t)rows * k_width);
			memcpy(q[j], q_source, (size_t)rows * heads * ks * sizeof(float));
			memcpy(k[j], k_source, (size_t)rows * k_width * sizeof(float));
			keys[j] = room((size_t)places * k_width);
			values[j] = room((size_t)places * v_width);
			memset(keys[j], 0, (size_t)places * k_width * sizeof(float));
			memset(values[j], 0, (size_t)places * v_width * sizeof(float));
		}
		const struct op_qkv op = { .q = at(q[0]),
					   .k = at(k[0]),
					   .v = at(v),
					   .q_norm = i & 2 ? at(q_weight) : 0,
					   .k_norm = i & 2 ? at(k_weight) : 0,
					   .keys = at(keys[0]),
					   .values = at(values[0]),
					   .frequency = at(frequency),
					   .position = at(number(3)),
					   .format = format,
					   .rows = rows,
					   .heads = heads,
					   .kv_heads = kv,
					   .key_size = ks,
					   .value_size = vs,
					   .pairs = i & 4   ? ks / 2
						    : i % 5 ? 3
							    : 0,
					   .interleaved = i & 8,
					   .eps = 1e-5f,
					   .magnitude = 1.25f };

		carry(to_device);
		CU_ASSERT_EQUAL(ops->begin(device, NULL), 0);
		device_qkv(device, &op);
		for (int j = 0; j < 2; j++) {
			const uint32_t n = j ? kv : heads;
			const struct op_norm norm = { .dst = at(j ? k[1] : q[1]),
						      .src = at(j ? k[1] : q[1]),
						      .weight = j ? op.k_norm : op.q_norm,
						      .rows = rows,
						      .groups = n,
						      .width = ks,
						      .dst_stride = n * ks,
						      .src_stride = n * ks,
						      .eps = op.eps };
			const struct op_rope rope = { .x = norm.dst,
						      .frequency = op.frequency,
						      .rows = rows,
						      .heads = n,
						      .head_stride = ks,
						      .stride = n * ks,
						      .pairs = op.pairs,
						      .position = op.position,
						      .interleaved = op.interleaved,
						      .magnitude = op.magnitude };

			if (norm.weight)
				device_norm(device, &norm);
			if (op.pairs)
				device_rope(device, &rope);
		}
		for (int j = 0; j < 2; j++) {
			const struct op_kv_store store = { .cache = at(j ? values[1] : keys[1]),
							   .src = at(j ? v : k[1]),
							   .position = op.position,
							   .format = format,
							   .rows = rows,
							   .width = j ? v_width : k_width,
							   .stride = j ? v_width : k_width };

			device_kv_store(device, &store);
		}
		submit();
		carry(from_device);
		for (size_t e = 0; e < (size_t)rows * heads * ks; e++)
			CU_ASSERT_DOUBLE_EQUAL(q[0][e], q[1][e], 1e-5);
		for (size_t e = 0; e < (size_t)places * k_width; e++)
			CU_ASSERT_DOUBLE_EQUAL(value_of(keys[0], e, bytes),
					       value_of(keys[1], e, bytes),
					       bytes == 2 ? 4e-3 : 1e-5);
		CU_ASSERT(!memcmp(values[0], values[1], (size_t)places * v_width * bytes));
	}
}

static void test_heads_to_cache(void)
{
	run_all_sets(heads_to_cache);
}

void add_attention(void)
{
	TEST(test_attention);
	TEST(test_heads_to_cache);
}
