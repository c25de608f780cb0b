// SPDX-License-Identifier: MIT
/*
 * Products of weights as floats with many activation rows: see kernels.h.
 *
 * NW weight rows meet GX activation rows, all in vectors along the rows, so that nothing needs to
 * be transposed and each value loaded serves GX or NW sums.  A block of weight rows stays in the
 * second cache while all activation rows pass; of these so much of GX rows at a time that it stays
 * in the first.  Where there are registers for many sums weights are read as they are; else, and
 * if they have codes, they become floats a block at a time.
 */
#include "device/cpu/decode.h"
#include "device/cpu/float_dot.h"

#include <limits.h>

enum {
	/* up to so many activation rows, weights are better widened again than kept as floats */
	IN_PLACE = LANES == 16 ? INT_MAX : 16,
	ROWS_IN_PLACE = 48, /* of weights, of which so many bytes are in the second cache */
	BYTES_IN_PLACE = 384 << 10,
	BLOCK_VALUES = 1024, /* of a row that are in the first cache */
	ROW_PAD = 16, /* floats between rows of a block: neighbours must not meet in the cache */
};

/* Weight rows that go together where they are; a multiple of NW. */
INLINE size_t rows_in_place(size_t row_bytes)
{
	const size_t rows = BYTES_IN_PLACE / (row_bytes + 1) / NW * NW;

	return rows ? MIN(rows, (size_t)ROWS_IN_PLACE) : NW;
}

/* Weight rows, and the sums of activation rows with them that aren't complete. */
struct weight_block {
	enum width width;
	const uint8_t *w;
	size_t row_bytes;
	unsigned rows;
	size_t column; /* of the output */
	vec *sums;
};

/* add_products() of @nx activation rows, asking for what is @ahead bytes farther if not 0. */
INLINE void add_stretch(enum width width, const uint8_t *const w[NW], const float *const x[GX],
			int nx, size_t begin, size_t end, size_t ahead, vec acc[NW][GX])
{
	for (size_t c = begin; c < end; c += LANES) {
		const size_t at = c * width_bytes(width);

		for (int j = 0; j < NW && ahead && at % 64 == 0; j++)
			prefetch_at((uintptr_t)w[j] + at + ahead, 1);
		add_products(width, w, x, nx, c, c + LANES, LANES, acc);
	}
}

/* The sums are complete but for what is left behind the last whole vector. */
INLINE void finish(enum width width, const uint8_t *const w[NW], const float *const x[GX], int nx,
		   size_t from, size_t k, vec acc[NW][GX], float *const out[GX], unsigned rows)
{
	four_floats y[GX];

	fold_all_sums(acc, nx, y);
	for (int i = 0; i < nx; i++)
		for (unsigned j = 0; from < k && j < NW; j++) {
			float sum = y[i][j];

			for (size_t t = from; t < k; t++)
				sum += load_one(width, w[j], t) * x[i][t];
			y[i][j] = sum;
		}
	if (rows >= NW)
		store_sums(y, out, nx, NW);
	else
		store_sums(y, out, nx, rows);
}

/* Values [begin, end) of rows of @k. */
struct stretch {
	size_t begin, end, k;
};

/* NW weight rows from @first on, of which @rows are there, with @nx activation rows. */
INLINE void multiply_tile(enum width width, int nx, const uint8_t *first, size_t row_bytes,
			  unsigned rows, const float *const x[GX], const struct stretch *s,
			  size_t ahead, vec *sums, float *const out[GX])
{
	const size_t whole = s->k / LANES * LANES;
	vec acc[NW][GX] = { 0 };
	const uint8_t *w[NW];

	for (unsigned j = 0; j < NW; j++)
		w[j] = first + MIN(j, rows - 1) * row_bytes;
	if (s->begin)
		copy_sums(sums, nx, acc, false);
	if (ahead)
		add_stretch(width, w, x, nx, s->begin, s->end, ahead, acc);
	else
		add_products(width, w, x, nx, s->begin, s->end, LANES, acc);
	if (s->end < whole)
		copy_sums(sums, nx, acc, true);
	else
		finish(width, w, x, nx, whole, s->k, acc, out, rows);
}

/* Functions of their own, so that compilers have registers for all sums. */
typedef void tile_fn(const uint8_t *first, size_t row_bytes, unsigned rows,
		     const float *const x[GX], const struct stretch *s, size_t ahead, vec *sums,
		     float *const out[GX]);
#define TILE(NAME, N)                                                                           \
	static __attribute__((noinline)) void tile_##NAME##_##N(                                \
		const uint8_t *first, size_t row_bytes, unsigned rows, const float *const x[],  \
		const struct stretch *s, size_t ahead, vec *sums, float *const out[])           \
	{                                                                                       \
		multiply_tile(WIDTH_##NAME, N, first, row_bytes, rows, x, s, ahead, sums, out); \
	}
TILE(F32, 4)
TILE(F16, 4)
TILE(BF16, 4)
#if HAVE_VNNI512
TILE(F32, 6)
TILE(F16, 6)
TILE(BF16, 6)
#define TILES(NAME) [4] = tile_##NAME##_4, [6] = tile_##NAME##_6
#else
#define TILES(NAME) [4] = tile_##NAME##_4
#endif
static tile_fn *const tiles[][GX + 1] = {
	[WIDTH_F32] = { TILES(F32) },
	[WIDTH_F16] = { TILES(F16) },
	[WIDTH_BF16] = { TILES(BF16) },
};

/* A block with @nx activation rows. */
static void multiply_together(const struct weight_block *b, const float *const x[GX], size_t nx,
			      size_t k, bool ahead, float *const out[GX])
{
	const size_t whole = k / LANES * LANES;
	const size_t stretches = MAX((whole + BLOCK_VALUES - 1) / BLOCK_VALUES, (size_t)1);
	const size_t stretch = round_up(whole / stretches + 1, LANES);
	tile_fn *const tile = tiles[b->width][nx];

	for (size_t begin = 0; begin < whole || !begin; begin += stretch) {
		const struct stretch s = { begin, MIN(begin + stretch, whole), k };
		vec *sums = b->sums;

		for (unsigned row = 0; row < b->rows; row += NW, sums += NW * GX) {
			float *to[GX];

			for (size_t i = 0; i < nx; i++)
				to[i] = out[i] + row;
			tile(b->w + row * b->row_bytes, b->row_bytes, b->rows - row, x, &s,
			     ahead ? NW * b->row_bytes : 0, sums, to);
		}
	}
}

/* The last activation rows, fewer than NX: each sum is by itself. */
INLINE void multiply_last(enum width width, const struct weight_block *b, const float *const *x,
			  size_t count, size_t k, float *const *out)
{
	for (unsigned row = 0; row < b->rows; row++) {
		const uint8_t *w = b->w + row * b->row_bytes;
		float sum[NX];

		if (count == 3)
			dot_with_all(width, w, x, 0, k, 3, sum);
		else if (count == 2)
			dot_with_all(width, w, x, 0, k, 2, sum);
		else
			dot_with_all(width, w, x, 0, k, 1, sum);
		for (size_t i = 0; i < count; i++)
			out[i][row] = sum[i];
	}
}

/* All activation rows. */
static void multiply_block(const struct weight_block *b, const float *x, size_t k,
			   const struct gemm_rows *r, bool ahead)
{
	const size_t together = r->count / NX * NX;

	for (size_t first = 0, count; first < r->count; first += count) {
		const float *src[GX];
		float *out[GX];

		count = rows_together((first < together ? together : r->count) - first);
		for (size_t i = 0; i < count; i++) {
			src[i] = x + row_of(r->src, first + i) * k;
			out[i] = r->out + row_of(r->dst, first + i) * r->out_stride + b->column;
		}
		if (first < together)
			multiply_together(b, src, count, k, ahead && !first, out);
		else if (b->width == WIDTH_F16)
			multiply_last(WIDTH_F16, b, src, count, k, out);
		else if (b->width == WIDTH_BF16)
			multiply_last(WIDTH_BF16, b, src, count, k, out);
		else
			multiply_last(WIDTH_F32, b, src, count, k, out);
	}
}

/* With weights as they are.  Only rows longer than BLOCK_VALUES have @sums, ROWS_IN_PLACE * GX. */
static void multiply_in_place(enum width width, const uint8_t *w, size_t row_bytes, size_t rows,
			      const float *x, size_t k, const struct gemm_rows *r, vec *sums)
{
	const size_t block_rows = rows_in_place(row_bytes);

	for (size_t row = 0; row < rows; row += block_rows) {
		const struct weight_block b = {
			.width = width,
			.w = w + row * row_bytes,
			.row_bytes = row_bytes,
			.rows = (unsigned)MIN(rows - row, block_rows),
			.column = row,
			.sums = sums,
		};

		multiply_block(&b, x, k, r, true);
	}
}

void ISA_NAME(cpu_gemm_float)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			      size_t rows, const float *x, size_t k, const struct gemm_rows *r,
			      void *scratch)
{
	const size_t stride = k + ROW_PAD, block_rows = float_block_rows(k) / NW * NW;
	const enum width width = width_in_place(f, w);
	uint8_t *at = scratch;
	vec *sums = carve(&at, block_rows * GX * sizeof(vec));
	float *scales = carve(&at, (k / 16 + 1) * sizeof(float));
	float *offsets = carve(&at, (k / 16 + 1) * sizeof(float));
	int8_t *codes = carve(&at, k);
	float *block = carve(&at, block_rows * stride * sizeof(float));

	if (r->count <= IN_PLACE && width != WIDTH_OTHER) {
		multiply_in_place(width, w, row_bytes, rows, x, k, r, scratch);
		return;
	}
	for (size_t row = 0; row < rows; row += block_rows) {
		const struct weight_block b = {
			.width = WIDTH_F32,
			.w = (const uint8_t *)block,
			.row_bytes = stride * sizeof(float),
			.rows = (unsigned)MIN(rows - row, block_rows),
			.column = row,
			.sums = sums,
		};

		for (unsigned j = 0; j < b.rows; j++)
			decode_row(f, w + (row + j) * row_bytes, k, block + j * stride, codes,
				   scales, offsets);
		multiply_block(&b, x, k, r, false);
	}
}
