// SPDX-License-Identifier: MIT
/* Activations, codes of activations, the cache's formats and the table of all: see kernels.h. */
#include "device/cpu/attend.h"
#include "device/cpu/tile_dot.h"
#include "device/cpu/vector_math.h"

#include <math.h>

static float dot_floats(const float *a, const float *b, size_t n)
{
	return dot(a, b, n);
}

static void axpy(float *y, float a, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += a * x[i];
}

static void scale(float *y, float a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] *= a;
}

static float max(const float *x, size_t n)
{
	float m = -INFINITY;
	size_t i = 0;

	if (n >= LANES) {
		vec best = load(x);

		for (i = LANES; i + LANES <= n; i += LANES)
			best = larger(load(x + i), best);
		m = largest_of(best);
	}
	for (; i < n; i++)
		m = x[i] > m ? x[i] : m;
	return m;
}

static float exp_sum(float *x, float top, size_t n)
{
	vec total = { 0 };
	size_t i = 0;
	float sum;

	for (; i + LANES <= n; i += LANES) {
		const vec e = exp_of(load(x + i) - top);

		store(x + i, e);
		total += e;
	}
	sum = sum_of(total);
	if (i < n) {
		float part[LANES] = { 0 };

		memcpy(part, x + i, (n - i) * sizeof(float));
		const vec e = exp_of(load(part) - top);

		store(part, e);
		for (size_t j = 0; j < n - i; j++)
			sum += part[j];
		memcpy(x + i, part, (n - i) * sizeof(float));
	}
	return sum;
}

INLINE vec activate(enum stoker_activation kind, vec g, vec u)
{
	vec zero = { 0 }, limit = splat(7.0f);

	switch (kind) {
	case ACTIVATION_SILU:
		return g * sigmoid_of(g) * u;
	case ACTIVATION_GELU: {
		/* 0.5 g (1 + tanh y) = g sigmoid(2 y) */
		const vec y = 0.79788456080286536f * (g + 0.044715f * g * g * g);

		return g * sigmoid_of(2 * y) * u;
	}
	case ACTIVATION_RELU:
		return larger(g, zero) * u;
	case ACTIVATION_SWIGLU_OAI:
		g = smaller(g, limit);
		u = larger(smaller(u, limit), -limit);
		return g * sigmoid_of(1.702f * g) * (u + 1.0f);
	case ACTIVATION_SILU_ONLY:
		return u * sigmoid_of(u);
	}
	return zero;
}

INLINE void glu_kind(enum stoker_activation kind, const float *gate, const float *up, float *dst,
		     size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		store(dst + i, activate(kind, gate ? load(gate + i) : (vec){ 0 }, load(up + i)));
	if (i < n) {
		float g[LANES] = { 0 }, u[LANES] = { 0 };

		if (gate)
			memcpy(g, gate + i, (n - i) * sizeof(float));
		memcpy(u, up + i, (n - i) * sizeof(float));
		store(g, activate(kind, load(g), load(u)));
		memcpy(dst + i, g, (n - i) * sizeof(float));
	}
}

static void glu(enum stoker_activation kind, const float *gate, const float *up, float *dst,
		size_t n)
{
	switch (kind) {
	case ACTIVATION_SILU:
		glu_kind(ACTIVATION_SILU, gate, up, dst, n);
		break;
	case ACTIVATION_GELU:
		glu_kind(ACTIVATION_GELU, gate, up, dst, n);
		break;
	case ACTIVATION_RELU:
		glu_kind(ACTIVATION_RELU, gate, up, dst, n);
		break;
	case ACTIVATION_SWIGLU_OAI:
		glu_kind(ACTIVATION_SWIGLU_OAI, gate, up, dst, n);
		break;
	case ACTIVATION_SILU_ONLY:
		glu_kind(ACTIVATION_SILU_ONLY, NULL, up, dst, n);
		break;
	}
}

static void sigmoid(const float *x, float *dst, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		store(dst + i, sigmoid_of(load(x + i)));
	if (i < n) {
		float part[LANES] = { 0 };

		memcpy(part, x + i, (n - i) * sizeof(float));
		store(part, sigmoid_of(load(part)));
		memcpy(dst + i, part, (n - i) * sizeof(float));
	}
}

static void soft_cap(float *x, float factor, float cap, size_t n)
{
	float part[LANES] = { 0 };
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		store(x + i, cap * tanh_of(load(x + i) * (factor / cap)));
	if (i < n) {
		memcpy(part, x + i, (n - i) * sizeof(float));
		store(part, cap * tanh_of(load(part) * (factor / cap)));
		memcpy(x + i, part, (n - i) * sizeof(float));
	}
}

static void convolve(float *dst, const float *const *x, const float *w, size_t stride, size_t taps,
		     size_t n, bool silu)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		vec y = { 0 };

		for (size_t j = 0; j < taps; j++)
			y += load(w + j * stride + i) * load(x[j] + i);
		store(dst + i, silu ? y * sigmoid_of(y) : y);
	}
	for (; i < n; i++) {
		float y = 0;

		for (size_t j = 0; j < taps; j++)
			y += w[j * stride + i] * x[j][i];
		dst[i] = silu ? y / (1 + expf(-y)) : y;
	}
}

static void kv_load(enum stoker_kv_format format, const uint8_t *src, float *dst, size_t n)
{
	switch (format) {
	case STOKER_KV_F32:
		memcpy(dst, src, n * sizeof(float));
		break;
	case STOKER_KV_F16:
		ISA_NAME(widen_f16)(src, n, dst);
		break;
	default:
		for (size_t c = 0; c < n; c += 32, src += stoker_kv_row_bytes(format, 32)) {
			int8_t codes[32];
			float d;

			if (format == STOKER_KV_Q8_0)
				ISA_NAME(unpack_q8_0)(src, 1, codes, &d, NULL);
			else if (format == STOKER_KV_Q5_0)
				ISA_NAME(unpack_q5_0)(src, 1, codes, &d, NULL);
			else
				ISA_NAME(unpack_q4_0)(src, 1, codes, &d, NULL);
			for (size_t i = 0; i < MIN(n - c, (size_t)32); i++)
				dst[c + i] = d * (float)codes[i];
		}
		break;
	}
}

static void narrow_f16(const float *src, uint8_t *dst, size_t n)
{
	size_t i = 0;

#if defined(__F16C__)
	for (; i + 8 <= n; i += 8)
		_mm_storeu_si128((void *)(dst + 2 * i), _mm256_cvtps_ph(_mm256_loadu_ps(src + i),
									_MM_FROUND_TO_NEAREST_INT));
#endif
	for (; i < n; i++)
		store_u16(dst + 2 * i, f32_to_f16(src[i]));
}

static void encode_blocks(enum stoker_kv_format format, const float *src, size_t blocks,
			  uint8_t *dst)
{
	if (format == STOKER_KV_Q8_0)
		ISA_NAME(encode_q8_0)(src, NULL, blocks, dst);
	else if (format == STOKER_KV_Q5_0)
		ISA_NAME(encode_q5_0)(src, NULL, blocks, dst);
	else
		ISA_NAME(encode_q4_0)(src, NULL, blocks, dst);
}

static void kv_save(enum stoker_kv_format format, const float *src, uint8_t *dst, size_t n)
{
	float last[32] = { 0 };

	switch (format) {
	case STOKER_KV_F32:
		memcpy(dst, src, n * sizeof(float));
		break;
	case STOKER_KV_F16:
		narrow_f16(src, dst, n);
		break;
	default:
		encode_blocks(format, src, n / 32, dst);
		if (n % 32 == 0)
			break;
		memcpy(last, src + n / 32 * 32, n % 32 * sizeof(float));
		encode_blocks(format, last, 1, dst + n / 32 * stoker_kv_row_bytes(format, 32));
	}
}

/* Below this, 127 / largest value isn't finite; such activations count as zero. */
static const float smallest_group = 1e-36f;

#if defined(__AVX2__) && !HAVE_VNNI512 && !HAVE_VNNI256
/* See struct q8_rows. */
static void store_pairs(const struct q8_rows *q, size_t at)
{
	const __m256i codes = _mm256_loadu_si256((const void *)(q->codes + at * ACTIVATION_GROUP));
	__m256i sums = _mm256_maddubs_epi16(_mm256_set1_epi8(1), codes);

	sums = _mm256_add_epi16(sums, _mm256_shuffle_epi32(sums, 0x4e));
	sums = _mm256_add_epi16(sums, _mm256_shuffle_epi32(sums, 0xb1));
	_mm_storeu_si32(q->pairs16 + 4 * at, _mm256_castsi256_si128(sums));
	_mm_storeu_si32(q->pairs16 + 4 * at + 2, _mm256_extracti128_si256(sums, 1));
}
#else
static void store_pairs(const struct q8_rows *q, size_t at)
{
	(void)q, (void)at;
}
#endif

static void store_group(const struct q8_rows *q, size_t at, float d, const int32_t sum[2])
{
	store_pairs(q, at);
	q->d[at] = d;
	for (size_t h = 0; h < 2; h++) {
		q->xs16[2 * at + h] = d * (float)sum[h];
		q->corr16[2 * at + h] = -128 * sum[h];
	}
	q->xs32[at] = d * (float)(sum[0] + sum[1]);
	q->corr32[at] = -128 * (sum[0] + sum[1]);
}

enum { GROUP_VECTORS = ACTIVATION_GROUP / LANES };

/* Codes of 32 values that are @inverse times as large, and the sums of each half. */
INLINE void round_group(const vec x[GROUP_VECTORS], float inverse, int8_t *codes, int32_t sum[2])
{
#if HAVE_VNNI512
	const __m512i ca = _mm512_cvtps_epi32((__m512)(x[0] * inverse));
	const __m512i cb = _mm512_cvtps_epi32((__m512)(x[1] * inverse));
	const __m128i first = _mm512_cvtepi32_epi8(ca), second = _mm512_cvtepi32_epi8(cb);
	const __m128i ones = _mm_set1_epi8(1), none = _mm_setzero_si128();
	/* four sums of four codes each for either half */
	const __m128i pairs = _mm_hadd_epi32(_mm_dpbusd_epi32(none, ones, first),
					     _mm_dpbusd_epi32(none, ones, second));
	const __m128i both = _mm_hadd_epi32(pairs, pairs);

	_mm_storeu_si128((void *)codes, first);
	_mm_storeu_si128((void *)(codes + 16), second);
	sum[0] = _mm_cvtsi128_si32(both);
	sum[1] = _mm_extract_epi32(both, 1);
#elif defined(__AVX2__)
	__m256i c[4];

	for (int i = 0; i < 4; i++)
		c[i] = _mm256_cvtps_epi32((__m256)(x[i] * inverse));
	/* packing goes by 128 bits: dwords 0 4 1 5 2 6 3 7 of what is wanted */
	const __m256i packed = _mm256_permutevar8x32_epi32(
		_mm256_packs_epi16(_mm256_packs_epi32(c[0], c[1]), _mm256_packs_epi32(c[2], c[3])),
		_mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0));
	const __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), packed),
						_mm256_set1_epi16(1));
	const __m128i pairs =
		_mm_hadd_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));
	const __m128i both = _mm_hadd_epi32(pairs, pairs);

	_mm256_storeu_si256((void *)codes, packed);
	sum[0] = _mm_cvtsi128_si32(both);
	sum[1] = _mm_extract_epi32(both, 1);
#else
	const vec magic = splat(12582912.0f);

	sum[0] = sum[1] = 0;
	for (int v = 0; v < GROUP_VECTORS; v++) {
		const ivec c = __builtin_convertvector((x[v] * inverse + magic) - magic, ivec);

		for (int i = 0; i < LANES; i++) {
			codes[LANES * v + i] = (int8_t)c[i];
			sum[v / (GROUP_VECTORS / 2)] += c[i];
		}
	}
#endif
}

static void quantize(const float *x, const struct q8_rows *q, size_t row, size_t first,
		     size_t groups)
{
	const size_t at = row * (q->k / ACTIVATION_GROUP) + first;
	int8_t *codes = q->codes + at * ACTIVATION_GROUP;

	for (size_t g = 0; g < groups; g++, x += 32, codes += 32) {
		vec v[GROUP_VECTORS], magnitude = { 0 };
		int32_t sum[2] = { 0, 0 };
		ivec broken = { 0 };

		for (int i = 0; i < GROUP_VECTORS; i++) {
			v[i] = load(x + LANES * i);
			broken |= v[i] - v[i] != v[i] - v[i];
			magnitude = larger((vec)((ivec)v[i] & 0x7fffffff), magnitude);
		}
		if (any_of(broken)) {
			/* nothing finite may come of it: d carries the NaN into every product */
			memset(codes, 0, 32);
			store_group(q, at + g, NAN, sum);
			continue;
		}
		const float most = largest_of(magnitude);
		const bool zero = most < smallest_group;

		round_group(v, zero ? 0 : 127 / most, codes, sum);
		store_group(q, at + g, zero ? 0 : most / 127, sum);
	}
}

const struct cpu_kernels ISA_NAME(cpu_kernels) = {
	.quantize = quantize,
	.gemm_q8 = ISA_NAME(cpu_gemm_q8),
	.gemm_float = ISA_NAME(cpu_gemm_float),
#if HAVE_VNNI512
	.gemm_bfloat = ISA_NAME(cpu_gemm_bfloat),
#endif
	.gemv_q8 = ISA_NAME(cpu_gemv_q8),
	.gemv_tiles = ISA_NAME(cpu_gemv_tiles),
	.gemm_few = ISA_NAME(cpu_gemm_few),
	.gemv_float = ISA_NAME(cpu_gemv_float),
	.dot = dot_floats,
	.axpy = axpy,
	.attend = ISA_NAME(cpu_attend),
	.columns = ISA_NAME(cpu_columns),
	.round_query = ISA_NAME(cpu_round_query),
	.pack_codes = ISA_NAME(cpu_pack_codes),
	.queries = QUERIES,
	.reads_halves = HAVE_HALVES,
	.scale = scale,
	.max = max,
	.exp_sum = exp_sum,
	.glu = glu,
	.sigmoid = sigmoid,
	.soft_cap = soft_cap,
	.convolve = convolve,
	.kv_load = kv_load,
	.kv_save = kv_save,
};
