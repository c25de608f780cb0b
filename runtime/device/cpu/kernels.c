// SPDX-License-Identifier: MIT
/* The CPU device's loops, compiled once an instruction set: see kernels.h. */
#include "device/cpu/kernels.h"
#include "device/cpu/tile_dot.h"

#include <math.h>

#define ISA_ENUM_scalar STOKER_ISA_SCALAR
#define ISA_ENUM_avx2 STOKER_ISA_AVX2
#define ISA_ENUM_avxvnni STOKER_ISA_AVXVNNI
#define ISA_ENUM_avx512 STOKER_ISA_AVX512
#define ISA_ENUM_dotprod STOKER_ISA_DOTPROD
#define ISA_ENUM_NAME2(isa) ISA_ENUM_##isa
#define ISA_ENUM_NAME(isa) ISA_ENUM_NAME2(isa)
#define THIS_ISA ISA_ENUM_NAME(ISA)

static float dot(const float *a, const float *b, size_t n)
{
	vec sum[4] = { 0 };
	float tail = 0;
	size_t i = 0;

	for (; i + 4 * LANES <= n; i += 4 * LANES)
		for (size_t v = 0; v < 4; v++)
			sum[v] += load(a + i + v * LANES) * load(b + i + v * LANES);
	for (; i + LANES <= n; i += LANES)
		sum[0] += load(a + i) * load(b + i);
	for (; i < n; i++)
		tail += a[i] * b[i];
	return sum_of((sum[0] + sum[1]) + (sum[2] + sum[3])) + tail;
}

static void axpy(float *y, float a, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += a * x[i];
}

/* One query and as many rows as vectors have lanes. */
INLINE void dots_of_one(const float *q, const float *rows, size_t stride, size_t n, float factor,
			float *out)
{
	vec sum[LANES] = { 0 };
	size_t c = 0;

	for (; c + LANES <= n; c += LANES) {
		const vec v = load(q + c);

		for (size_t r = 0; r < LANES; r++)
			sum[r] += v * load(rows + r * stride + c);
	}
	store(out, factor * sums_of(sum));
	for (size_t r = 0; r < LANES && c < n; r++)
		out[r] += factor * dot(q + c, rows + r * stride + c, n - c);
}

enum { SHARED_ROWS = LANES / QUERIES };

/* All queries and so many rows that there are as many sums. */
INLINE void dots_of_all(const float *const q[QUERIES], const float *rows, size_t stride, size_t n,
			float factor, float *const out[QUERIES], size_t at)
{
	vec sum[LANES] = { 0 };
	float sums[LANES];
	size_t c = 0;

	for (; c + LANES <= n; c += LANES) {
		vec row[SHARED_ROWS];

		for (size_t r = 0; r < SHARED_ROWS; r++)
			row[r] = load(rows + r * stride + c);
		for (size_t h = 0; h < QUERIES; h++) {
			const vec v = load(q[h] + c);

			for (size_t r = 0; r < SHARED_ROWS; r++)
				sum[QUERIES * r + h] += v * row[r];
		}
	}
	store(sums, factor * sums_of(sum));
	for (size_t r = 0; r < SHARED_ROWS; r++)
		for (size_t h = 0; h < QUERIES; h++) {
			out[h][at + r] = sums[QUERIES * r + h];
			if (c < n)
				out[h][at + r] +=
					factor * dot(q[h] + c, rows + r * stride + c, n - c);
		}
}

static void dots(const float *const q[QUERIES], unsigned queries, const float *rows, size_t stride,
		 size_t count, size_t n, float factor, float *const out[QUERIES])
{
	size_t i = 0;

	for (; queries == QUERIES && i + SHARED_ROWS <= count; i += SHARED_ROWS)
		dots_of_all(q, rows + i * stride, stride, n, factor, out, i);
	for (unsigned h = 0; h < queries; h++) {
		size_t at = i;

		for (; at + LANES <= count; at += LANES)
			dots_of_one(q[h], rows + at * stride, stride, n, factor, out[h] + at);
		for (; at < count; at++)
			out[h][at] = factor * dot(q[h], rows + at * stride, n);
	}
}

/* @vectors of each y from @c on, which stay in registers; all about them is constant when inlined.
 */
INLINE void add_weighted_part(float *const *y, const float *const *w, size_t queries,
			      const float *rows, size_t stride, size_t count, size_t c,
			      size_t vectors)
{
	vec sum[16], row[8];

	for (size_t h = 0; h < queries; h++)
		for (size_t v = 0; v < vectors; v++)
			sum[vectors * h + v] = load(y[h] + c + LANES * v);
	for (size_t i = 0; i < count; i++) {
		for (size_t v = 0; v < vectors; v++)
			row[v] = load(rows + i * stride + c + LANES * v);
		for (size_t h = 0; h < queries; h++)
			for (size_t v = 0; v < vectors; v++)
				sum[vectors * h + v] += w[h][i] * row[v];
	}
	for (size_t h = 0; h < queries; h++)
		for (size_t v = 0; v < vectors; v++)
			store(y[h] + c + LANES * v, sum[vectors * h + v]);
}

INLINE size_t add_weighted_parts(float *const *y, const float *const *w, size_t queries,
				 const float *rows, size_t stride, size_t count, size_t n,
				 size_t vectors)
{
	size_t c = 0;

	for (; c + vectors * LANES <= n; c += vectors * LANES)
		add_weighted_part(y, w, queries, rows, stride, count, c, vectors);
	for (; c + LANES <= n; c += LANES)
		add_weighted_part(y, w, queries, rows, stride, count, c, 1);
	return c;
}

static void add_weighted(float *const y[QUERIES], const float *const w[QUERIES], unsigned queries,
			 const float *rows, size_t stride, size_t count, size_t n)
{
	size_t c = 0;

	if (queries == QUERIES)
		c = add_weighted_parts(y, w, QUERIES, rows, stride, count, n, SHARED_ROWS);
	for (unsigned h = 0; h < queries; h++) {
		if (queries < QUERIES)
			c = add_weighted_parts(y + h, w + h, 1, rows, stride, count, n,
					       LANES == 16 ? 4 : 8);
		for (size_t i = 0; c < n && i < count; i++)
			axpy(y[h] + c, w[h][i], rows + i * stride + c, n - c);
	}
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

/*
 * exp(x) = 2^n * e^r with r in [-ln2/2, ln2/2] and a degree-6 Taylor polynomial in r: relative
 * error below 2e-7.  Arguments under -87 give 0, over 88 the largest power, NaN gives NaN.
 */
INLINE vec exp_of(vec x)
{
	const vec low = splat(-87.0f), high = splat(88.0f);
	const vec magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
	const ivec tiny = x < low, nan = x != x;
	const vec given = x;
	vec n, r, p;

	x = smaller(larger(x, low), high);
	n = (x * 1.44269504f + magic) - magic;
	r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
	p = r * (1.0f / 720) + 1.0f / 120;
	p = p * r + 1.0f / 24;
	p = p * r + 1.0f / 6;
	p = p * r + 0.5f;
	p = p * r + 1.0f;
	p = p * r + 1.0f;
	const ivec exponent = (__builtin_convertvector(n, ivec) + 127) << 23;

	p *= (vec)exponent;
	return choose(nan, given, choose(tiny, (vec){ 0 }, p));
}

INLINE vec sigmoid_of(vec x)
{
	return 1.0f / (1.0f + exp_of(-x));
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

/* tanh x = (e^2x - 1) / (e^2x + 1), beyond 9 it is 1; near 0 that cancels, but a series doesn't. */
INLINE vec tanh_of(vec x)
{
	const vec e = exp_of(2 * larger(smaller(x, splat(9.0f)), splat(-9.0f))), square = x * x;
	const vec series = x - x * square * (1.0f / 3 - square * (2.0f / 15));
	const vec y = choose(square < 0.0049f, series, (e - 1) / (e + 1));

	return choose(x != x, x, y);
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
	case STOKER_KV_Q8_0:
		for (size_t b = 0; b < n / 32; b++, src += 34) {
			const float d = f16_to_f32(load_u16(src));

			for (int i = 0; i < 32; i++)
				dst[32 * b + (size_t)i] = d * (float)(int8_t)src[2 + i];
		}
		break;
	}
}

static void kv_save(enum stoker_kv_format format, const float *src, uint8_t *dst, size_t n)
{
	switch (format) {
	case STOKER_KV_F32:
		memcpy(dst, src, n * sizeof(float));
		break;
	case STOKER_KV_F16:
		for (size_t i = 0; i < n; i++)
			store_u16(dst + 2 * i, f32_to_f16(src[i]));
		break;
	case STOKER_KV_Q8_0:
		for (size_t b = 0; b < n / 32; b++)
			encode_q8_0(src + 32 * b, dst + 34 * b);
		break;
	}
}

/* Below this, 127 / largest value isn't finite; such activations count as zero. */
static const float smallest_group = 1e-36f;

static void store_group(const struct q8_rows *q, size_t at, float d, const int32_t sum[2])
{
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

/* A tile of quantized weights in scratch memory. */
struct tile {
	uint8_t *codes;	       /* [k / 4][16][4] */
	float *scale, *offset; /* [k / group][16]; no offset: NULL */
};

static void *carve(uint8_t **at, size_t bytes)
{
	void *p = *at;

	*at += round_up(bytes, 64);
	return p;
}

/* Transposes 16 rows of dwords, as many as a vector has, and adds the bias to all codes. */
#if HAVE_VNNI512
enum { TRANSPOSED = 64 };

INLINE void transpose_dwords(const int8_t *src, size_t stride, int bias, uint8_t *dst)
{
	const __m512i more = _mm512_set1_epi8((char)bias);
	__m512i a[16], b[16];

	for (int i = 0; i < 16; i++)
		a[i] = _mm512_add_epi8(_mm512_loadu_si512(src + (size_t)i * stride), more);
	for (int i = 0; i < 16; i += 2) {
		b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
		b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
	}
	/* four rows of four dwords in each 128-bit lane: a[4q + j] holds columns 4 lane + j */
	for (int q = 0; q < 16; q += 4) {
		a[q] = _mm512_unpacklo_epi64(b[q], b[q + 2]);
		a[q + 1] = _mm512_unpackhi_epi64(b[q], b[q + 2]);
		a[q + 2] = _mm512_unpacklo_epi64(b[q + 1], b[q + 3]);
		a[q + 3] = _mm512_unpackhi_epi64(b[q + 1], b[q + 3]);
	}
	for (int j = 0; j < 4; j++) {
		const __m512i l = _mm512_shuffle_i32x4(a[j], a[4 + j], 0x88);
		const __m512i m = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0x88);
		const __m512i n = _mm512_shuffle_i32x4(a[j], a[4 + j], 0xdd);
		const __m512i o = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0xdd);

		_mm512_store_si512(dst + 64 * j, _mm512_shuffle_i32x4(l, m, 0x88));
		_mm512_store_si512(dst + 64 * (4 + j), _mm512_shuffle_i32x4(n, o, 0x88));
		_mm512_store_si512(dst + 64 * (8 + j), _mm512_shuffle_i32x4(l, m, 0xdd));
		_mm512_store_si512(dst + 64 * (12 + j), _mm512_shuffle_i32x4(n, o, 0xdd));
	}
}
#elif defined(__AVX2__)
enum { TRANSPOSED = 32 };

INLINE void transpose_dwords(const int8_t *src, size_t stride, int bias, uint8_t *dst)
{
	const __m256i more = _mm256_set1_epi8((char)bias);

	for (int half = 0; half < 2; half++, src += 8 * stride, dst += 32) {
		__m256i a[8], b[8];

		for (int i = 0; i < 8; i++)
			a[i] = _mm256_add_epi8(
				_mm256_loadu_si256((const void *)(src + (size_t)i * stride)), more);
		for (int i = 0; i < 8; i += 2) {
			b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
			b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
		}
		/* four rows of four dwords in each 128-bit lane, as above */
		for (int q = 0; q < 8; q += 4) {
			a[q] = _mm256_unpacklo_epi64(b[q], b[q + 2]);
			a[q + 1] = _mm256_unpackhi_epi64(b[q], b[q + 2]);
			a[q + 2] = _mm256_unpacklo_epi64(b[q + 1], b[q + 3]);
			a[q + 3] = _mm256_unpackhi_epi64(b[q + 1], b[q + 3]);
		}
		for (int j = 0; j < 4; j++) {
			_mm256_store_si256((void *)(dst + 64 * j),
					   _mm256_permute2x128_si256(a[j], a[4 + j], 0x20));
			_mm256_store_si256((void *)(dst + 64 * (4 + j)),
					   _mm256_permute2x128_si256(a[j], a[4 + j], 0x31));
		}
	}
}
#else
enum { TRANSPOSED = 4 };

INLINE void transpose_dwords(const int8_t *src, size_t stride, int bias, uint8_t *dst)
{
	for (size_t i = 0; i < 4 * TILE_ROWS; i++)
		dst[i] = (uint8_t)(src[i / 4 * stride + i % 4] + bias);
}
#endif

static struct tile build_tile(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			      unsigned rows, size_t k, void *scratch)
{
	const int bias = tile_codes_of(f).bias;
	uint8_t *at = scratch;
	const size_t groups = k / f->group;
	int8_t *codes = carve(&at, TILE_ROWS * k + 64);
	float *scales = carve(&at, TILE_ROWS * groups * sizeof(float));
	float *offsets = carve(&at, TILE_ROWS * groups * sizeof(float));
	struct tile t = {
		.codes = carve(&at, TILE_ROWS * k),
		.scale = carve(&at, TILE_ROWS * groups * sizeof(float)),
		.offset = f->affine ? carve(&at, TILE_ROWS * groups * sizeof(float)) : NULL,
	};
	size_t c = 0;

	for (unsigned r = 0; r < rows; r++)
		f->unpack[THIS_ISA](w + r * row_bytes, k / f->block_values, codes + r * k,
				    scales + r * groups, offsets + r * groups);
	for (unsigned r = rows; r < TILE_ROWS; r++) {
		memset(codes + r * k, 0, k);
		memset(scales + r * groups, 0, groups * sizeof(float));
		memset(offsets + r * groups, 0, groups * sizeof(float));
	}
	for (; c + TRANSPOSED <= k; c += TRANSPOSED)
		transpose_dwords(codes + c, k, bias, t.codes + 16 * c);
	for (; c < k; c += 4)
		for (unsigned r = 0; r < TILE_ROWS; r++)
			for (unsigned j = 0; j < 4; j++)
				t.codes[16 * c + 4 * r + j] =
					(uint8_t)(codes[r * k + c + j] + bias);
	for (size_t g = 0; g < groups; g++)
		for (unsigned r = 0; r < TILE_ROWS; r++)
			t.scale[16 * g + r] = scales[r * groups + g];
	for (size_t g = 0; f->affine && g < groups; g++)
		for (unsigned r = 0; r < TILE_ROWS; r++)
			t.offset[16 * g + r] = offsets[r * groups + g];
	return t;
}

INLINE size_t row_of(const uint32_t *index, size_t i)
{
	return index ? index[i] : i;
}

INLINE void store_rows(float *dst, const vec *v, unsigned rows)
{
	float part[TILE_ROWS];

	for (int i = 0; i < TILE_VECTORS; i++)
		store((rows == TILE_ROWS ? dst : part) + LANES * i, v[i]);
	if (rows < TILE_ROWS)
		memcpy(dst, part, rows * sizeof(float));
}

/* acc[i] += (p[i] or 1) * numbers * x[at[i] * each], for @n activation rows. */
INLINE void add_products(vec *acc, const vec *p, const float *numbers, const float *x,
			 const size_t *at, size_t each, int n)
{
	for (int h = 0; h < TILE_VECTORS; h++) {
		const vec s = load(numbers + LANES * h);

		for (int i = 0; i < n; i++) {
			const vec y = s * x[at[i] * each];
			const int v = TILE_VECTORS * i + h;

			acc[v] += p ? p[v] * y : y;
		}
	}
}

/*
 * @n activation rows from @first on against one tile.  Inlined, the group, n and steps are
 * constant.
 */
INLINE void gemm_block(const struct tile *t, int group, bool affine, struct tile_codes c,
		       unsigned rows, const struct q8_rows *x, const struct gemm_rows *r,
		       size_t first, int n)
{
	const size_t groups = x->k / ACTIVATION_GROUP;
	const int8_t *codes[GEMM_ROWS];
	int32_t start[GEMM_ROWS];
	size_t at[GEMM_ROWS];
	vec acc[GEMM_ROWS * TILE_VECTORS] = { 0 }, p[GEMM_ROWS * TILE_VECTORS];

	for (int i = 0; i < n; i++) {
		const size_t row = row_of(r->src, first + (size_t)i);

		codes[i] = x->codes + row * x->k;
		at[i] = row * groups;
	}
	for (size_t g = 0; g < groups; g++) {
		if (group == 32) {
			for (int i = 0; i < n; i++)
				start[i] = start_of(c, x->corr32[at[i] + g]);
			tile_dots(t->codes + 512 * g, codes, 32 * g, 32, start, n, c.steps, p);
			add_products(acc, p, t->scale + 16 * g, x->d + g, at, 1, n);
			if (affine)
				add_products(acc, NULL, t->offset + 16 * g, x->xs32 + g, at, 1, n);
			continue;
		}
		for (size_t h = 2 * g; h < 2 * g + 2; h++) {
			for (int i = 0; i < n; i++)
				start[i] = start_of(c, x->corr16[2 * at[i] + h]);
			tile_dots(t->codes + 256 * h, codes, 16 * h, 16, start, n, c.steps, p);
			add_products(acc, p, t->scale + 16 * h, x->d + g, at, 1, n);
			if (affine)
				add_products(acc, NULL, t->offset + 16 * h, x->xs16 + h, at, 2, n);
		}
	}
	for (int i = 0; i < n; i++)
		store_rows(r->out + row_of(r->dst, first + (size_t)i) * r->out_stride,
			   acc + TILE_VECTORS * i, rows);
}

INLINE void gemm_all(const struct tile *t, int group, bool affine, struct tile_codes c,
		     unsigned rows, const struct q8_rows *x, const struct gemm_rows *r)
{
	enum { FEWER_ROWS = GEMM_ROWS > 4 ? 4 : 2 };
	size_t i = 0;

	for (; i + GEMM_ROWS <= r->count; i += GEMM_ROWS)
		gemm_block(t, group, affine, c, rows, x, r, i, GEMM_ROWS);
	for (; i + FEWER_ROWS <= r->count; i += FEWER_ROWS)
		gemm_block(t, group, affine, c, rows, x, r, i, FEWER_ROWS);
	for (; i < r->count; i++)
		gemm_block(t, group, affine, c, rows, x, r, i, 1);
}

INLINE void gemm_steps(const struct tile *t, unsigned group, int bias, int steps, unsigned rows,
		       const struct q8_rows *x, const struct gemm_rows *r)
{
	const struct tile_codes c = { .bias = bias, .steps = steps };

	if (group == 32 && t->offset)
		gemm_all(t, 32, true, c, rows, x, r);
	else if (group == 32)
		gemm_all(t, 32, false, c, rows, x, r);
	else if (t->offset)
		gemm_all(t, 16, true, c, rows, x, r);
	else
		gemm_all(t, 16, false, c, rows, x, r);
}

static void gemm_q8(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
		    unsigned rows, const struct q8_rows *x, const struct gemm_rows *r,
		    void *scratch)
{
	const struct tile t = build_tile(f, w, row_bytes, rows, x->k, scratch);
	const struct tile_codes c = tile_codes_of(f);

	switch (c.steps) {
	case 8:
		gemm_steps(&t, f->group, c.bias, 8, rows, x, r);
		break;
	case 4:
		gemm_steps(&t, f->group, c.bias, 4, rows, x, r);
		break;
	case 2:
		gemm_steps(&t, f->group, c.bias, 2, rows, x, r);
		break;
	case 1:
		gemm_steps(&t, f->group, c.bias, 1, rows, x, r);
		break;
	default:
		gemm_steps(&t, f->group, c.bias, 0, rows, x, r);
	}
}

/* Values of a row to float, in the codes' own way: exact. */
static void decode_row(const struct stoker_format *f, const uint8_t *w, size_t k, float *dst,
		       int8_t *codes, float *scales, float *offsets)
{
	if (!f->group) {
		f->widen[THIS_ISA](w, k, dst);
		return;
	}
	f->unpack[THIS_ISA](w, k / f->block_values, codes, scales, offsets);
	for (size_t g = 0; g < k / f->group; g++) {
		const float s = scales[g], o = f->affine ? offsets[g] : 0;
		float *d = dst + g * f->group;
		const int8_t *c = codes + g * f->group;

		for (unsigned i = 0; i < f->group; i++)
			d[i] = s * (float)c[i] + o;
	}
}

/* One weight row with four activation rows, so that each of its vectors is loaded once. */
INLINE void dot4(const float *w, const float *const x[4], size_t k, float out[4])
{
	vec acc[4] = { 0 };
	size_t c = 0;

	for (; c + LANES <= k; c += LANES) {
		const vec v = load(w + c);

		for (int i = 0; i < 4; i++)
			acc[i] += v * load(x[i] + c);
	}
	for (int i = 0; i < 4; i++) {
		out[i] = sum_of(acc[i]);
		for (size_t t = c; t < k; t++)
			out[i] += w[t] * x[i][t];
	}
}

static void gemm_float(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
		       unsigned rows, const float *x, size_t k, const struct gemm_rows *r,
		       void *scratch)
{
	uint8_t *at = scratch;
	float *row = carve(&at, k * sizeof(float));
	float *scales = carve(&at, (k / 16 + 1) * sizeof(float));
	float *offsets = carve(&at, (k / 16 + 1) * sizeof(float));
	int8_t *codes = carve(&at, k);

	for (unsigned j = 0; j < rows; j++) {
		size_t i = 0;

		decode_row(f, w + j * row_bytes, k, row, codes, scales, offsets);
		for (; i + 4 <= r->count; i += 4) {
			const float *src[4];
			float y[4];

			for (size_t n = 0; n < 4; n++)
				src[n] = x + row_of(r->src, i + n) * k;
			dot4(row, src, k, y);
			for (size_t n = 0; n < 4; n++)
				r->out[row_of(r->dst, i + n) * r->out_stride + j] = y[n];
		}
		for (; i < r->count; i++)
			r->out[row_of(r->dst, i) * r->out_stride + j] =
				dot(row, x + row_of(r->src, i) * k, k);
	}
}

/* A piece of a row at a time, so that reading goes on while it is computed. */
static float dot_pieces(const struct stoker_format *f, const uint8_t *w, const float *x, size_t k,
			float *piece)
{
	enum { PIECE = 256 };
	const size_t piece_bytes = stoker_row_bytes(f, PIECE);
	/* F32 as it lies, unless a file's offsets are odd */
	const bool floats = piece_bytes == PIECE * sizeof(float) &&
			    (uintptr_t)w % sizeof(float) == 0;
	float sum = 0;

	for (; k; w += piece_bytes, x += PIECE) {
		const size_t n = MIN(k, (size_t)PIECE);

		prefetch_ahead(w, piece_bytes);
		if (!floats)
			f->widen[THIS_ISA](w, n, piece);
		sum += dot(floats ? (const float *)(const void *)w : piece, x, n);
		k -= n;
	}
	return sum;
}

static void gemv_float(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
		       size_t rows, const float *x, size_t k, float *out, void *scratch)
{
	uint8_t *at = scratch;
	float *row = carve(&at, k * sizeof(float));
	float *scales = carve(&at, (k / 16 + 1) * sizeof(float));
	float *offsets = carve(&at, (k / 16 + 1) * sizeof(float));
	int8_t *codes = carve(&at, k);

	for (size_t i = 0; i < rows; i++, w += row_bytes) {
		if (!f->group) {
			out[i] = dot_pieces(f, w, x, k, row);
			continue;
		}
		prefetch_ahead(w, row_bytes);
		decode_row(f, w, k, row, codes, scales, offsets);
		out[i] = dot(row, x, k);
	}
}

/* sum over groups of combined[g] * (codes . x) for one row; combined is weight scale * d. */
#if HAVE_VNNI512
/* Codes are signed; with flipped ones the caller adds 128 * combined * sum to make up for it. */
INLINE float codes_dot(const int8_t *codes, const int8_t *x, const float *combined, size_t k,
		       int group)
{
	const __m512i flip = _mm512_set1_epi8((char)0x80);
	/* lane i of 16 belongs to group i / (group / 4) of this vector */
	const __m512i lane =
		group == 32 ? _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
			    : _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
	const int step = 64 / group;
	__m512 acc0 = _mm512_setzero_ps(), acc1 = _mm512_setzero_ps();
	size_t c = 0;

	for (; c + 64 <= k; c += 64, combined += step) {
		const __m512i w = _mm512_xor_si512(_mm512_loadu_si512(codes + c), flip);
		const __m512i p =
			_mm512_dpbusd_epi32(_mm512_setzero_si512(), w, _mm512_loadu_si512(x + c));
		const __m512 s = _mm512_permutexvar_ps(
			lane, _mm512_castps128_ps512(
				      group == 32 ? _mm_castpd_ps(_mm_load_sd(
							    (const double *)(const void *)combined))
						  : _mm_loadu_ps(combined)));
		const __m512 f = _mm512_cvtepi32_ps(p);

		if (c & 64)
			acc1 = _mm512_fmadd_ps(f, s, acc1);
		else
			acc0 = _mm512_fmadd_ps(f, s, acc0);
	}
	float total = _mm512_reduce_add_ps(_mm512_add_ps(acc0, acc1));

	for (; c < k; c += (size_t)group, combined++) {
		int32_t sum = 0;

		for (int i = 0; i < group; i++)
			sum += (uint8_t)(codes[c + (size_t)i] ^ -128) * x[c + (size_t)i];
		total += *combined * (float)sum;
	}
	return total;
}
#elif defined(__AVX2__)
INLINE float codes_dot(const int8_t *codes, const int8_t *x, const float *combined, size_t k,
		       int group)
{
	const __m256i ones = _mm256_set1_epi16(1);
	__m256 acc = _mm256_setzero_ps();

	for (size_t c = 0; c < k; c += 32, combined += 32 / group) {
		const __m256i w = _mm256_loadu_si256((const __m256i *)(codes + c));
		const __m256i b = _mm256_loadu_si256((const __m256i *)(x + c));
		const __m256i p = _mm256_madd_epi16(
			_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(b, w)), ones);
		const __m256 s = group == 32 ? _mm256_set1_ps(combined[0])
					     : _mm256_set_m128(_mm_set1_ps(combined[1]),
							       _mm_set1_ps(combined[0]));

		acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(p), s, acc);
	}
	const __m128 half = _mm_add_ps(_mm256_castps256_ps128(acc), _mm256_extractf128_ps(acc, 1));
	const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));

	return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}
#else
INLINE float codes_dot(const int8_t *codes, const int8_t *x, const float *combined, size_t k,
		       int group)
{
	float total = 0;

	for (size_t c = 0; c < k; c += (size_t)group, combined++) {
		int32_t sum = 0;

		for (int i = 0; i < group; i++)
			sum += codes[c + (size_t)i] * x[c + (size_t)i];
		total += *combined * (float)sum;
	}
	return total;
}
#endif

INLINE void gemv_group(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
		       size_t rows, const struct q8_rows *x, size_t row, float *out, void *scratch,
		       int group)
{
	uint8_t *at = scratch;
	const size_t k = x->k, groups = k / (size_t)group, per_d = ACTIVATION_GROUP / (size_t)group;
	int8_t *codes = carve(&at, k + 64);
	float *scales = carve(&at, (groups + 16) * sizeof(float));
	float *offsets = carve(&at, (groups + 16) * sizeof(float));
	const int8_t *xc = x->codes + row * k;
	const float *d = x->d + row * (k / ACTIVATION_GROUP);
	const float *xs = group == 32 ? x->xs32 + row * groups : x->xs16 + row * groups;

	for (size_t i = 0; i < rows; i++) {
		float total = 0;

		prefetch_ahead(w + i * row_bytes, row_bytes);
		f->unpack[THIS_ISA](w + i * row_bytes, k / f->block_values, codes, scales, offsets);
		if (f->affine)
			total += dot(offsets, xs, groups);
#if HAVE_VNNI512
		total -= 128 * dot(scales, xs, groups);
#endif
		for (size_t g = 0; g < groups; g++)
			scales[g] *= d[g / per_d];
		out[i] = total + codes_dot(codes, xc, scales, k, group);
	}
}

static void gemv_q8(const struct stoker_format *f, const uint8_t *w, size_t row_bytes, size_t rows,
		    const struct q8_rows *x, size_t row, float *out, void *scratch)
{
	fused_gemv_fn *fused = ISA_NAME(cpu_fused_gemv)(f);

	if (fused)
		fused(w, row_bytes, rows, x, row, out, scratch);
	else if (f->group == 32)
		gemv_group(f, w, row_bytes, rows, x, row, out, scratch, 32);
	else
		gemv_group(f, w, row_bytes, rows, x, row, out, scratch, 16);
}

/* Sums that stay in registers, of vectors as long as those. */
enum { SPIN_SUMS = 12, SPIN_DOTS = SPIN_SUMS / TILE_VECTORS };

static float spin_floats(uint32_t rounds)
{
	const vec factor = splat(0.5f + 1e-7f * (float)rounds);
	vec acc[SPIN_SUMS], sum = { 0 };

	for (int i = 0; i < SPIN_SUMS; i++)
		acc[i] = factor * (float)i;
	for (uint32_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
		for (int i = 0; i < SPIN_SUMS; i++)
			acc[i] = acc[i] * factor + factor;
	for (int i = 0; i < SPIN_SUMS; i++)
		sum += acc[i];
	return sum_of(sum);
}

static float spin_codes(uint32_t rounds)
{
	static const uint8_t zeros[16 * ACTIVATION_GROUP] __attribute__((aligned(64)));
	const uint8_t *tile = zeros;
	int8_t x[128] = { 1 };
	vec acc[SPIN_SUMS] = { 0 };
	float total = 1;

	/* so that the compiler doesn't know what is there */
	__asm__ volatile("" : "+r"(tile));
	for (uint32_t r = 0; r < rounds; r++) {
		x[r % 128] ^= 1;
#pragma GCC unroll 12
		for (int i = 0; i < SPIN_DOTS; i++) { /* each with codes of its own */
			const int8_t *codes = x + 4 * i;
			const int32_t start = (int32_t)r + i;
			vec sums[TILE_VECTORS];

			tile_dots(tile, &codes, 0, ACTIVATION_GROUP, &start, 1, 8, sums);
			for (int h = 0; h < TILE_VECTORS; h++)
				acc[TILE_VECTORS * i + h] += sums[h];
		}
	}
	for (int i = 0; i < SPIN_SUMS; i++)
		total += sum_of(acc[i]);
	return total;
}

static float spin(bool codes, uint32_t rounds)
{
	const float sum = codes ? spin_codes(rounds) : spin_floats(rounds);

	return sum == 0 ? 1 : sum;
}

const struct cpu_kernels ISA_NAME(cpu_kernels) = {
	.quantize = quantize,
	.gemm_q8 = gemm_q8,
	.gemm_float = gemm_float,
	.gemv_q8 = gemv_q8,
	.gemv_float = gemv_float,
	.dot = dot,
	.axpy = axpy,
	.dots = dots,
	.add_weighted = add_weighted,
	.scale = scale,
	.max = max,
	.exp_sum = exp_sum,
	.glu = glu,
	.sigmoid = sigmoid,
	.soft_cap = soft_cap,
	.convolve = convolve,
	.kv_load = kv_load,
	.kv_save = kv_save,
	.spin = spin,
	.spin_floats = SPIN_SUMS * LANES,
	.spin_codes = SPIN_DOTS * TILE_ROWS * ACTIVATION_GROUP,
};
