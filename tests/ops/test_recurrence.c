// SPDX-License-Identifier: MIT
/* Layers with a state in place of a cache: short convolutions and the gated delta rule. */
#include "ops.h"

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

static void test_recurrence(void)
{
	run_all_sets(recurrence);
}

void add_recurrence(void)
{
	TEST(test_recurrence);
}
