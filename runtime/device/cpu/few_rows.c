// SPDX-License-Identifier: MIT
/* Products of weights in tiles with a few activation rows that lie side by side: see kernels.h. */
#include "device/cpu/packed_rows.h"
#include "device/cpu/decode.h"
#include "device/cpu/tile_unpack.h"

#if HAVE_PACKED_ROWS
#if HAVE_VNNI512
#include "device/cpu/tile_grid_vbmi.h"
#else
#include "device/cpu/tile_grid_avx2.h"
#endif

#if HAVE_VNNI512
/* Codes of a block that are entries of a codebook. */
#define VBMI_BLOCK(NAME)                                                                           \
	static VBMI                                                                                \
		__attribute__((noinline)) void vbmi_block_##NAME(const uint8_t *b, uint8_t *codes) \
	{                                                                                          \
		for (int part = 0; part < 8; part++)                                               \
			vbmi_codes(FORMAT_##NAME, b, part, codes + 16 * TILE_PART * part);         \
	}
VBMI_BLOCK(IQ1_S)
VBMI_BLOCK(IQ1_M)
VBMI_BLOCK(IQ2_XXS)
VBMI_BLOCK(IQ2_XS)
VBMI_BLOCK(IQ2_S)
VBMI_BLOCK(IQ3_XXS)
VBMI_BLOCK(IQ3_S)

static bool unpack_block(uint32_t id, const uint8_t *b, uint8_t *codes)
{
	if (!__builtin_cpu_supports("avx512vbmi"))
		return false;
	switch (id) {
#define CASE_BLOCK(NAME)                     \
	case FORMAT_##NAME:                  \
		vbmi_block_##NAME(b, codes); \
		return true;
		CASE_BLOCK(IQ1_S)
		CASE_BLOCK(IQ1_M)
		CASE_BLOCK(IQ2_XXS)
		CASE_BLOCK(IQ2_XS)
		CASE_BLOCK(IQ2_S)
		CASE_BLOCK(IQ3_XXS)
		CASE_BLOCK(IQ3_S)
	}
	return false;
}

/* Activations' codes in the order of these. */
#define VBMI_ORDER(NAME, ID)                                                                 \
	static VBMI __attribute__((noinline)) void order_##NAME(const void **rows, int n,    \
								int8_t(*ordered)[TILE_PART]) \
	{                                                                                    \
		for (int i = 0; i < n; i++) {                                                \
			vbmi_activations(ID, rows[i], ordered[i]);                           \
			rows[i] = ordered[i];                                                \
		}                                                                            \
	}
VBMI_ORDER(eights, FORMAT_IQ2_S)
VBMI_ORDER(fours, FORMAT_IQ3_S)

INLINE order_fn *order_of(uint32_t id)
{
	if (!is_grid(id) || !__builtin_cpu_supports("avx512vbmi"))
		return NULL;
	return entry_values(id) == 8 ? order_eights : order_fours;
}
#else
INLINE order_fn *order_of(uint32_t id)
{
	(void)id;
	return NULL;
}
#endif

INLINE void unpack_grid_block(uint32_t id, const uint8_t *b, int bias, uint8_t *codes)
{
#if HAVE_VNNI512
	if (unpack_block(id, b, codes))
		return;
	for (int part = 0; part < 8; part++)
		grid_codes(id, b, part, bias, codes + 16 * TILE_PART * part);
#else
	store_grid_block(id, b, bias, codes);
#endif
}

enum { MOST_BLOCKS = 4, MOST_TOGETHER = 8 };

/* From how many activation rows on products are faster this way than those of gemv.c. */
INLINE size_t few_from(uint32_t id)
{
	const struct stoker_format f = tile_format(id);
	const struct tile_codes c = tile_codes_of_one(&f);

	if (HAVE_VNNI512)
		return is_grid(id) ? 2 : 3;
	return c.steps ? 3 : 5;
}

/* Whether codes for @n rows go through memory: where products leave few registers, or where many
 * codes are unpacked together. */
INLINE bool stores_codes(uint32_t id, int n)
{
	return !HAVE_VNNI512 || is_grid(id) || id == FORMAT_TQ1_0 || (id == FORMAT_Q3_K && n > 4);
}

/*
 * A tile at @w with @blocks blocks of @n activation rows each, @packed side by side, of which @r
 * has the first ones.  Inlined, all that says how is constant.
 */
INLINE void few_rows_tile(uint32_t id, const uint8_t *w, size_t k, const int32_t *x, int packed,
			  int n, int blocks, const struct gemm_rows *r, size_t column)
{
	const struct stoker_format f = tile_format(id);
	const struct tile_codes c = tile_codes_of_one(&f);
	const bool stored = stores_codes(id, n);
	const int parts = f.block_values / TILE_PART;
	const int together = is_grid(id) ? parts : parts_together(id);
	const size_t part_bytes = TILE_ROWS * f.block_bytes / (size_t)parts;
	const size_t numbers = TILE_ROWS * TILE_PART / f.group;
	const int wrapping = wrapping_steps(c, &f);
	const size_t group_dwords = packed_group(f.group, wrapping);
	const size_t packed_dwords = packed_rows_dwords(k, group_dwords, packed);
	_Alignas(64) uint8_t codes[MOST_TOGETHER * 16 * TILE_PART];
	_Alignas(64) float scale[MOST_TOGETHER * 32], offset[MOST_TOGETHER * 32];
	vec acc[MOST_BLOCKS][GEMM_ROWS * TILE_VECTORS] = { 0 };
	int last = blocks;

	/* or compilers would have two blocks' products in registers together, which are few there
	 */
	if (!HAVE_VNNI512)
		__asm__("" : "+r"(last));

	for (size_t v = 0; v < k; v += f.block_values, w += TILE_ROWS * f.block_bytes)
#pragma GCC unroll 1
		for (int p = 0; p < parts; p += together) {
#pragma GCC unroll 8
			for (int q = 0; q < together; q++) {
				const size_t at = stored ? numbers * (size_t)q : 0;
				const struct tile t = { .codes = codes,
							.scale = scale,
							.offset = offset };

				prefetch_ahead(w + (size_t)(p + q) * part_bytes + read_early(id),
					       part_bytes);
				unpack_scales(id, w, p, q, scale + at, offset + at);
				if (!is_grid(id))
					unpack_codes(id, w, p, q, c.bias,
						     codes + (stored ? 16 * TILE_PART * q : 0));
				if (stored)
					continue;
				for (int b = 0; b < blocks; b++)
					add_packed(&t, f.group, f.affine, c, wrapping,
						   x + (size_t)b * packed_dwords, packed, n,
						   acc[b]);
				x += group_dwords * (size_t)packed;
			}
			if (!stored)
				continue;
			if (is_grid(id))
				unpack_grid_block(id, w, c.bias, codes);
#pragma GCC unroll 1
			for (int q = 0; q < together; q++, x += group_dwords * (size_t)packed) {
				const struct tile t = { .codes = codes + 16 * TILE_PART * q,
							.scale = scale + numbers * (size_t)q,
							.offset = offset + numbers * (size_t)q };

#pragma GCC unroll 1
				for (int b = 0; b < last; b++) {
					/* all in memory: registers are for the products */
					if (!HAVE_VNNI512)
						__asm__ volatile("" ::: "memory");
					add_packed(&t, f.group, f.affine, c, wrapping,
						   x + (size_t)(b * n / packed) * packed_dwords +
							   b * n % packed,
						   packed, n, acc[b]);
				}
			}
		}
	for (int b = 0; b < blocks; b++)
		for (size_t i = 0, row = (size_t)(b * n); i < (size_t)n && row < r->count;
		     i++, row++)
			store_rows(r->out + row_of(r->dst, row) * r->out_stride + column,
				   acc[b] + TILE_VECTORS * i, TILE_ROWS);
}

INLINE void few_rows_tiles(uint32_t id, const uint8_t *w, size_t row_bytes, size_t rows,
			   const struct q8_rows *x, const struct gemm_rows *r, int32_t *packed)
{
	const struct stoker_format f = tile_format(id);
	const int n = GEMM_ROWS, bias = tile_codes_of_one(&f).bias;
	const int wrapping = wrapping_steps(tile_codes_of_one(&f), &f);
	const size_t group_dwords = packed_group(f.group, wrapping);
	order_fn *const order = order_of(id);

	assert(r->count >= few_from(id) && r->count <= MOST_FEW_ROWS);
	if (few_from(id) <= 4 && r->count <= 4) {
		pack_rows(x, r, 0, 4, f.group, f.affine, bias, wrapping, order, packed);
		for (size_t row = 0; row < rows; row += TILE_ROWS, w += TILE_ROWS * row_bytes)
			if (r->count == 2)
				few_rows_tile(id, w, x->k, packed, 4, 2, 1, r, row);
			else
				few_rows_tile(id, w, x->k, packed, 4, 4, 1, r, row);
		return;
	}
	for (size_t i = 0; i < r->count; i += 8)
		pack_rows(x, r, i, 8, f.group, f.affine, bias, wrapping, order,
			  packed + i / 8 * packed_rows_dwords(x->k, group_dwords, 8));
	for (size_t row = 0; row < rows; row += TILE_ROWS, w += TILE_ROWS * row_bytes)
		if (r->count <= 8)
			few_rows_tile(id, w, x->k, packed, 8, n, 8 / n, r, row);
		else
			few_rows_tile(id, w, x->k, packed, 8, n, 16 / n, r, row);
}

/* Formats have functions of their own: one for all is more than compilers look after well. */
#define FEW_none(kernel, ID)
#define FEW_plain(kernel, ID)                                                                    \
	static __attribute__((noinline)) void few_##kernel(const uint8_t *w, size_t row_bytes,   \
							   size_t rows, const struct q8_rows *x, \
							   const struct gemm_rows *r,            \
							   int32_t *packed)                      \
	{                                                                                        \
		few_rows_tiles(ID, w, row_bytes, rows, x, r, packed);                            \
	}
#define FEW_ended FEW_plain
#define FEW_reordered FEW_plain
#define FORMAT(NAME, kernel, ID, file_type, shader, tiles, ...) FEW_##tiles(kernel, ID)
#include "quant/formats.def"

/* Whether it was done. */
static bool few_rows(const struct stoker_format *f, const uint8_t *w, size_t row_bytes, size_t rows,
		     const struct q8_rows *x, const struct gemm_rows *r, int32_t *packed)
{
	switch (f->id) {
#define CASE_none(kernel, ID)
#define CASE_plain(kernel, ID)                                  \
	case ID:                                                \
		if (r->count < few_from(ID))                    \
			return false;                           \
		few_##kernel(w, row_bytes, rows, x, r, packed); \
		return true;
#define CASE_ended CASE_plain
#define CASE_reordered CASE_plain
#define FORMAT(NAME, kernel, ID, file_type, shader, tiles, ...) CASE_##tiles(kernel, ID)
#include "quant/formats.def"
	}
	return false;
}
#else
static bool few_rows(const struct stoker_format *f, const uint8_t *w, size_t row_bytes, size_t rows,
		     const struct q8_rows *x, const struct gemm_rows *r, int32_t *packed)
{
	(void)f, (void)w, (void)row_bytes, (void)rows, (void)x, (void)r, (void)packed;
	return false;
}
#endif

void ISA_NAME(cpu_gemm_few)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			    size_t rows, const struct q8_rows *x, const struct gemm_rows *r,
			    void *scratch)
{
	if (!few_rows(f, w, row_bytes, rows, x, r, scratch))
		ISA_NAME(cpu_gemv_tiles)(f, w, row_bytes, rows, x, r);
}
