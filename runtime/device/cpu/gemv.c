// SPDX-License-Identifier: MIT
/* Products of weights with one activation row, or a few: see kernels.h. */
#include "device/cpu/decode.h"
#include "device/cpu/packed_rows.h"
#include "device/cpu/tile_unpack.h"
#if HAVE_VNNI512
#include "device/cpu/tile_grid_vbmi.h"
#elif defined(__AVX2__)
#include "device/cpu/tile_grid_avx2.h"
#if !HAVE_VNNI256
#include "device/cpu/tile_planes_avx2.h"
#endif
#endif
#ifndef HAVE_GRID_DOTS
#define HAVE_GRID_DOTS 0
#endif
#ifndef HAVE_PLANE_DOTS
#define HAVE_PLANE_DOTS 0
#endif

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

void ISA_NAME(cpu_gemv_q8)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			   size_t rows, const struct q8_rows *x, size_t row, float *out,
			   void *scratch)
{
	if (f->group == 32)
		gemv_group(f, w, row_bytes, rows, x, row, out, scratch, 32);
	else
		gemv_group(f, w, row_bytes, rows, x, row, out, scratch, 16);
}

/* Activation rows that go through a tile together; without products of bytes they gain little. */
#if HAVE_VNNI512 || defined(__AVX2__)
enum { ROWS_AT_ONCE = 8 };
#elif defined(__ARM_FEATURE_DOTPROD)
enum { ROWS_AT_ONCE = 4 };
#else
enum { ROWS_AT_ONCE = 2 };
#endif

/*
 * Whether codes for several rows are put in memory first: where there are few registers compilers
 * do that anyway, and worse.
 */
INLINE bool codes_in_memory(uint32_t id, int n)
{
#if defined(__AVX2__)
	return n > 1 && (!HAVE_VNNI512 || id == FORMAT_TQ1_0);
#else
	(void)id, (void)n;
	return false;
#endif
}

/* Those of them whose sums are in registers together. */
INLINE int rows_in_registers(unsigned group)
{
	/* where a sum of products is of 16 codes there are too many for eight */
	return MIN(ROWS_AT_ONCE, HAVE_VNNI512 && group == 32 ? 8 : 4);
}

INLINE void store_sums(const struct gemm_rows *r, size_t first, size_t n, size_t column,
		       const vec *acc)
{
	for (size_t i = 0; i < n; i++)
		store_rows(r->out + row_of(r->dst, first + i) * r->out_stride + column,
			   acc + TILE_VECTORS * i, TILE_ROWS);
}

/*
 * A tile at @w with @n activation rows from @first on, of which there are @left: the last one
 * stands in for those that aren't.  Inlined, format and n are constant.
 */
INLINE void gemv_tile(uint32_t id, const uint8_t *w, const struct q8_rows *x,
		      const struct gemm_rows *r, size_t first, int n, size_t left, size_t column)
{
	enum { MOST_TOGETHER = 8, MOST_BLOCKS = 2 };
	const struct stoker_format f = tile_format(id);
	const struct tile_codes c = tile_codes_of_one(&f);
	const int parts = f.block_values / TILE_PART, together = parts_together(id);
	const bool stored = codes_in_memory(id, n);
	const int rows = MIN(n, rows_in_registers(f.group)), blocks = n / rows;
	const size_t part_bytes = TILE_ROWS * f.block_bytes / (size_t)parts;
	const size_t groups = TILE_PART / f.group;
	_Alignas(64) uint8_t codes[MOST_TOGETHER * 16 * TILE_PART];
	_Alignas(64) float scale[MOST_TOGETHER * 32], offset[MOST_TOGETHER * 32];
	const struct tile t = { .codes = codes, .scale = scale, .offset = offset };
	struct tile_input in[MOST_BLOCKS] = { 0 };
	vec acc[MOST_BLOCKS][GEMM_ROWS * TILE_VECTORS] = { 0 };

	for (int b = 0; b < blocks; b++)
		in[b] = take_input(x, r->src, first + (size_t)(b * rows), rows,
				   left - (size_t)(b * rows));
	for (size_t v = 0; v < x->k; v += f.block_values, w += TILE_ROWS * f.block_bytes) {
#if HAVE_GRID_DOTS
		if (is_grid(id)) {
			add_grid_block(id, w, f.group, x, &in[0], v, n, acc[0]);
			continue;
		}
#endif
#if HAVE_PLANE_DOTS
		if (n == 1 && has_planes(id)) {
			add_plane_block(id, w, x, &in[0], v, acc[0]);
			continue;
		}
#endif
		/* not unrolled: processors predict what one instruction loads next */
#pragma GCC unroll 1
		for (int p = 0; p < parts; p += together) {
			const size_t from = v + (size_t)(p * TILE_PART);

#pragma GCC unroll 8
			for (int q = 0; q < together; q++) {
				const size_t at = from + (size_t)(q * TILE_PART);
				const size_t g = stored ? TILE_ROWS * groups * (size_t)q : 0;

				prefetch_ahead(w + (size_t)(p + q) * part_bytes + read_early(id),
					       part_bytes);
				unpack_scales(id, w, p, q, scale + g, offset + g);
				unpack_codes(id, w, p, q, c.bias,
					     codes + (stored ? 16 * TILE_PART * q : 0));
				for (int b = 0; !stored && b < blocks; b++)
					add_tile(&t, f.group, f.affine, c, x, &in[b], at, at,
						 TILE_PART, rows, acc[b]);
			}
			if (!stored)
				continue;
			/* in memory, as compilers would have more in registers than there are */
			__asm__("" : "+m"(codes), "+m"(scale), "+m"(offset));
			for (int b = 0; b < blocks; b++)
				add_tile(&t, f.group, f.affine, c, x, &in[b], from, from,
					 (size_t)together * TILE_PART, rows, acc[b]);
		}
	}
	for (int b = 0; b < blocks; b++)
		store_sums(r, first + (size_t)(b * rows),
			   MIN((size_t)rows, left - (size_t)(b * rows)), column, acc[b]);
}

/* Activation rows for which codes are unpacked once. */
INLINE size_t rows_at_once(uint32_t id)
{
	const int in_registers = rows_in_registers(tile_format(id).group);
	const int together = parts_together(id);

	if (ROWS_AT_ONCE == 2)
		return together > 2 ? 1 : 2;
	if (HAVE_GRID_DOTS && is_grid(id))
		return 4;
	if (HAVE_PACKED_ROWS) /* there are no more */
		return HAVE_VNNI512 ? 2 : 4;
	/* sums that leave registers after each part cost more than unpacking it again */
	return together > 1 ? ROWS_AT_ONCE : (size_t)in_registers;
}

INLINE void gemv_tiles(uint32_t id, const uint8_t *w, size_t row_bytes, size_t rows,
		       const struct q8_rows *x, const struct gemm_rows *r)
{
	const int in_registers = rows_in_registers(tile_format(id).group);
	const size_t most = rows_at_once(id);

	/* a loop of its own, from which all that is the same for each tile can be taken out */
	for (size_t row = 0; r->count == 1 && row < rows; row += TILE_ROWS)
		gemv_tile(id, w + row * row_bytes, x, r, 0, 1, 1, row);
	if (r->count == 1)
		return;
	for (size_t row = 0; row < rows; row += TILE_ROWS, w += TILE_ROWS * row_bytes)
		for (size_t i = 0, n; i < r->count; i += n) {
			const size_t left = r->count - i;

			if (left == 1 || most == 1) {
				gemv_tile(id, w, x, r, i, 1, left, row);
				n = 1;
			} else if (most == 2 || (left == 2 && !is_grid(id))) {
				gemv_tile(id, w, x, r, i, 2, left, row);
				n = 2;
			} else if (most == 4 || left <= (in_registers == 8 ? 4 : 6)) {
				gemv_tile(id, w, x, r, i, 4, left, row);
				n = 4;
			} else {
				gemv_tile(id, w, x, r, i, 8, left, row);
				n = 8;
			}
		}
}

#if HAVE_VNNI512
/*
 * Whether activations are loaded one by one.  Compilers take them out of a register by shuffles, of
 * which decoding has enough where tables are small; where they are large it has enough of loads.
 */
INLINE bool loads_activations(uint32_t id)
{
	return id == FORMAT_IQ2_XXS || id == FORMAT_IQ2_XS || id == FORMAT_IQ3_XXS;
}

/* The same of codes that are entries of a codebook, and one activation row. */
VBMI_INLINE void vbmi_tile(uint32_t id, const uint8_t *w, const struct q8_rows *x,
			   const struct gemm_rows *r, size_t first, size_t column)
{
	const struct stoker_format f = tile_format(id);
	const struct tile_codes c = tile_codes_of_one(&f);
	const struct tile_input in = take_input(x, r->src, first, 1, 1);
	const size_t part_bytes = TILE_ROWS * f.block_bytes / 8;
	_Alignas(64) uint8_t codes[16 * TILE_PART];
	_Alignas(64) int8_t ordered[TILE_PART];
	_Alignas(64) float scale[32];
	const struct tile t = { .codes = codes, .scale = scale };
	struct tile_input own = in;
	vec acc[TILE_VECTORS] = { 0 };

	own.codes[0] = ordered;
	for (size_t v = 0; v < x->k; v += f.block_values, w += TILE_ROWS * f.block_bytes)
#pragma GCC unroll 1
		for (int p = 0; p < 8; p++) {
			const size_t from = v + (size_t)(p * TILE_PART);

			prefetch_ahead(w + (size_t)p * part_bytes, part_bytes);
			unpack_scales(id, w, p, 0, scale, NULL);
			vbmi_codes(id, w, p, codes);
			vbmi_activations(id, in.codes[0] + from, ordered);
			if (loads_activations(id))
				__asm__("" : "+m"(ordered));
			add_tile(&t, f.group, false, c, x, &own, from, 0, TILE_PART, 1, acc);
		}
	store_sums(r, first, 1, column, acc);
}

VBMI_INLINE void vbmi_tiles(uint32_t id, const uint8_t *w, size_t row_bytes, size_t rows,
			    const struct q8_rows *x, const struct gemm_rows *r)
{
	for (size_t row = 0; row < rows; row += TILE_ROWS, w += TILE_ROWS * row_bytes)
		for (size_t i = 0; i < r->count; i++)
			vbmi_tile(id, w, x, r, i, row);
}

/* A function for each format: see below. */
#define VBMI_GRID(NAME)                                                                          \
	static VBMI                                                                              \
		__attribute__((noinline)) void vbmi_##NAME(const uint8_t *w, size_t row_bytes,   \
							   size_t rows, const struct q8_rows *x, \
							   const struct gemm_rows *r)            \
	{                                                                                        \
		vbmi_tiles(FORMAT_##NAME, w, row_bytes, rows, x, r);                             \
	}
VBMI_GRID(IQ1_S)
VBMI_GRID(IQ1_M)
VBMI_GRID(IQ2_XXS)
VBMI_GRID(IQ2_XS)
VBMI_GRID(IQ2_S)
VBMI_GRID(IQ3_XXS)
VBMI_GRID(IQ3_S)

static bool gemv_grids(uint32_t id, const uint8_t *w, size_t row_bytes, size_t rows,
		       const struct q8_rows *x, const struct gemm_rows *r)
{
	switch (id) {
#define CASE_GRID(NAME)                                \
	case FORMAT_##NAME:                            \
		vbmi_##NAME(w, row_bytes, rows, x, r); \
		return true;
		CASE_GRID(IQ1_S)
		CASE_GRID(IQ1_M)
		CASE_GRID(IQ2_XXS)
		CASE_GRID(IQ2_XS)
		CASE_GRID(IQ2_S)
		CASE_GRID(IQ3_XXS)
		CASE_GRID(IQ3_S)
	}
	return false;
}
#endif

/* Formats have functions of their own: one for all is more than compilers look after well. */
#define GEMV_none(kernel, ID)
#define GEMV_plain(kernel, ID)                                                                    \
	static __attribute__((noinline)) void gemv_##kernel(const uint8_t *w, size_t row_bytes,   \
							    size_t rows, const struct q8_rows *x, \
							    const struct gemm_rows *r)            \
	{                                                                                         \
		gemv_tiles(ID, w, row_bytes, rows, x, r);                                         \
	}
#define GEMV_ended GEMV_plain
#define GEMV_reordered GEMV_plain
#define FORMAT(NAME, kernel, ID, file_type, shader, tiles, ...) GEMV_##tiles(kernel, ID)
#include "quant/formats.def"

void ISA_NAME(cpu_gemv_tiles)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			      size_t rows, const struct q8_rows *x, const struct gemm_rows *r)
{
#if HAVE_VNNI512
	if (__builtin_cpu_supports("avx512vbmi") && gemv_grids(f->id, w, row_bytes, rows, x, r))
		return;
#endif
	switch (f->id) {
#define CASE_none(kernel, ID)
#define CASE_plain(kernel, ID)                           \
	case ID:                                         \
		gemv_##kernel(w, row_bytes, rows, x, r); \
		break;
#define CASE_ended CASE_plain
#define CASE_reordered CASE_plain
#define FORMAT(NAME, kernel, ID, file_type, shader, tiles, ...) CASE_##tiles(kernel, ID)
#include "quant/formats.def"
	}
}
