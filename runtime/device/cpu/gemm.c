// SPDX-License-Identifier: MIT
/* Products of weights with many activation rows, by tiles: see kernels.h. */
#include "device/cpu/decode.h"
#include "device/cpu/tile_unpack.h"
#include "device/cpu/transpose.h"

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

/* The same of rows that lie in a tile; inlined, the format is constant. */
INLINE void unpack_tile(uint32_t id, const uint8_t *w, size_t k, int bias, const struct tile *t)
{
	const struct stoker_format f = tile_format(id);
	const int parts = f.block_values / TILE_PART, together = parts_together(id);
	const size_t part_bytes = TILE_ROWS * f.block_bytes / (size_t)parts;

	for (size_t v = 0; v < k; v += f.block_values, w += TILE_ROWS * f.block_bytes) {
		for (int p = 0; p < parts; p += together)
#pragma GCC unroll 8
			for (int q = 0; q < together; q++) {
				const size_t from = v + (size_t)((p + q) * TILE_PART);
				const size_t groups = from / f.group;

				prefetch_ahead(w + (size_t)(p + q) * part_bytes, part_bytes);
				unpack_scales(id, w, p, q, t->scale + 16 * groups,
					      f.affine ? t->offset + 16 * groups : NULL);
				unpack_codes(id, w, p, q, bias, t->codes + 16 * from);
			}
	}
}

static struct tile take_tile(const struct stoker_format *f, const uint8_t *w, size_t k,
			     void *scratch)
{
	const int bias = tile_codes_of(f).bias;
	uint8_t *at = scratch;
	const struct tile t = {
		.codes = carve(&at, TILE_ROWS * k),
		.scale = carve(&at, TILE_ROWS * (k / f->group) * sizeof(float)),
		.offset = f->affine ? carve(&at, TILE_ROWS * (k / f->group) * sizeof(float)) : NULL,
	};

	switch (f->id) {
#define CASE_none(ID)
#define CASE_plain(ID)                           \
	case ID:                                 \
		unpack_tile(ID, w, k, bias, &t); \
		break;
#define CASE_ended CASE_plain
#define CASE_reordered CASE_plain
#define FORMAT(NAME, kernel, ID, file_type, shader, tiles, ...) CASE_##tiles(ID)
#include "quant/formats.def"
	}
	return t;
}

/* @n activation rows from @first on against one tile; see add_tile(). */
INLINE void gemm_block(const struct tile *t, unsigned group, bool affine, struct tile_codes c,
		       unsigned rows, const struct q8_rows *x, const struct gemm_rows *r,
		       size_t first, int n)
{
	const struct tile_input in = take_input(x, r->src, first, n, (size_t)n);
	vec acc[GEMM_ROWS * TILE_VECTORS] = { 0 };

	add_tile(t, group, affine, c, x, &in, 0, 0, x->k, n, acc);
	for (int i = 0; i < n; i++)
		store_rows(r->out + row_of(r->dst, first + (size_t)i) * r->out_stride,
			   acc + TILE_VECTORS * i, rows);
}

INLINE void gemm_all(const struct tile *t, unsigned group, bool affine, struct tile_codes c,
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

void ISA_NAME(cpu_gemm_q8)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			   unsigned rows, bool tiled, const struct q8_rows *x,
			   const struct gemm_rows *r, void *scratch)
{
	const struct tile t = tiled ? take_tile(f, w, x->k, scratch)
				    : build_tile(f, w, row_bytes, rows, x->k, scratch);
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
