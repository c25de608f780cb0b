// SPDX-License-Identifier: MIT
/*
 * Products of weights as floats with many activation rows: see kernels.h.
 *
 * NW weight rows meet NX activation rows, all in vectors along the rows, so that nothing needs to
 * be transposed and each value loaded serves NX or NW sums.  Weight rows become floats a block at a
 * time, which stays in the second cache while all activation rows pass; of these so much of NX rows
 * at a time that it stays in the first.
 */
#include "device/cpu/decode.h"
#include "device/cpu/float_dot.h"

enum {
	FEW_ROWS = 16, /* up to so many, weights are better widened again than kept as floats */
	BLOCK_VALUES = 1024, /* of a row that are in the first cache */
	ROW_PAD = 16, /* floats between rows of a block: neighbours must not meet in the cache */
};

/* Weight rows, and the sums of NX activation rows with them that aren't complete. */
struct weight_block {
	const uint8_t *w;
	size_t row_bytes;
	unsigned rows;
	size_t column; /* of the output */
	vec *sums;
};

/* The same, asking for what is @bytes farther: a cache line of each row at a time. */
INLINE void add_ahead(enum width width, const uint8_t *const w[NW], const float *const x[NX],
		      size_t begin, size_t end, size_t bytes, vec acc[NW][NX])
{
	const size_t line = 64 / width_bytes(width);

	for (size_t c = begin; c < end; c += line) {
		for (int j = 0; j < NW; j++)
			prefetch_at((uintptr_t)w[j] + c * width_bytes(width) + bytes, 1);
		add_products(width, w, x, NX, c, MIN(c + line, end), LANES, acc);
	}
}

/* The sums are complete but for what is left behind the last whole vector. */
INLINE void finish(enum width width, const uint8_t *const w[NW], const float *const x[NX],
		   size_t from, size_t k, vec acc[NW][NX], float *const out[NX], unsigned rows)
{
	four_floats y[NX];

	fold_sums(acc, NW, y);
	for (int i = 0; i < NX; i++)
		for (unsigned j = 0; from < k && j < NW; j++) {
			float sum = y[i][j];

			for (size_t t = from; t < k; t++)
				sum += load_one(width, w[j], t) * x[i][t];
			y[i][j] = sum;
		}
	if (rows == NW)
		store_sums(y, out, NX, NW);
	else
		store_sums(y, out, NX, rows);
}

/* Values [begin, end) of a block's rows with NX activation rows. */
INLINE void multiply_stretch(enum width width, const struct weight_block *b,
			     const float *const x[NX], size_t begin, size_t end, size_t k,
			     bool ahead, float *const out[NX])
{
	const size_t whole = k / LANES * LANES;
	vec *sums = b->sums;

	for (unsigned row = 0; row < b->rows; row += NW, sums += NW * NX) {
		const unsigned rows = MIN(b->rows - row, (unsigned)NW);
		const uint8_t *w[NW];
		vec acc[NW][NX] = { 0 };
		float *to[NX];

		for (unsigned j = 0; j < NW; j++)
			w[j] = b->w + (row + MIN(j, rows - 1)) * b->row_bytes;
		if (begin)
			for (int n = 0; n < NW * NX; n++)
				acc[n / NX][n % NX] = sums[n];
		if (ahead)
			add_ahead(width, w, x, begin, end, NW * b->row_bytes, acc);
		else
			add_products(width, w, x, NX, begin, end, LANES, acc);
		if (end < whole) {
			for (int n = 0; n < NW * NX; n++)
				sums[n] = acc[n / NX][n % NX];
			continue;
		}
		for (int i = 0; i < NX; i++)
			to[i] = out[i] + row;
		finish(width, w, x, whole, k, acc, to, rows);
	}
}

/* All activation rows; of the last ones that aren't NX each sum is by itself. */
INLINE void multiply_block(enum width width, const struct weight_block *b, const float *x, size_t k,
			   const struct gemm_rows *r, bool ahead)
{
	const size_t whole = k / LANES * LANES;
	const size_t stretches = MAX((whole + BLOCK_VALUES - 1) / BLOCK_VALUES, (size_t)1);
	const size_t stretch = round_up(whole / stretches + 1, LANES);

	for (size_t first = 0; first < r->count; first += NX) {
		const int count = (int)MIN(r->count - first, (size_t)NX);
		const float *src[NX];
		float *out[NX];

		for (int i = 0; i < count; i++) {
			src[i] = x + row_of(r->src, first + (size_t)i) * k;
			out[i] = r->out + row_of(r->dst, first + (size_t)i) * r->out_stride +
				 b->column;
		}
		for (size_t begin = 0; count == NX && (begin < whole || !begin); begin += stretch)
			multiply_stretch(width, b, src, begin, MIN(begin + stretch, whole), k,
					 ahead && !first, out);
		for (unsigned row = 0; count < NX && row < b->rows; row++) {
			float sum[NX];

			if (count == 3)
				dot_with_all(width, b->w + row * b->row_bytes, src, 0, k, 3, sum);
			else if (count == 2)
				dot_with_all(width, b->w + row * b->row_bytes, src, 0, k, 2, sum);
			else
				dot_with_all(width, b->w + row * b->row_bytes, src, 0, k, 1, sum);
			for (int i = 0; i < count; i++)
				out[i][row] = sum[i];
		}
	}
}

/* A few activation rows with weights as they are. */
INLINE void multiply_in_place(enum width width, const uint8_t *w, size_t row_bytes, size_t rows,
			      size_t block_rows, const float *x, size_t k,
			      const struct gemm_rows *r, vec *sums)
{
	for (size_t row = 0; row < rows; row += block_rows) {
		const struct weight_block b = {
			.w = w + row * row_bytes,
			.row_bytes = row_bytes,
			.rows = (unsigned)MIN(rows - row, block_rows),
			.column = row,
			.sums = sums,
		};

		multiply_block(width, &b, x, k, r, true);
	}
}

void ISA_NAME(cpu_gemm_float)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			      size_t rows, const float *x, size_t k, const struct gemm_rows *r,
			      void *scratch)
{
	const size_t stride = k + ROW_PAD, block_rows = float_block_rows(k) / NW * NW;
	uint8_t *at = scratch;
	vec *sums = carve(&at, block_rows * NX * sizeof(vec));
	float *scales = carve(&at, (k / 16 + 1) * sizeof(float));
	float *offsets = carve(&at, (k / 16 + 1) * sizeof(float));
	int8_t *codes = carve(&at, k);
	float *block = carve(&at, block_rows * stride * sizeof(float));

	switch (r->count <= FEW_ROWS ? width_in_place(f, w) : WIDTH_OTHER) {
	case WIDTH_F32:
		multiply_in_place(WIDTH_F32, w, row_bytes, rows, block_rows, x, k, r, sums);
		return;
	case WIDTH_F16:
		multiply_in_place(WIDTH_F16, w, row_bytes, rows, block_rows, x, k, r, sums);
		return;
	case WIDTH_BF16:
		multiply_in_place(WIDTH_BF16, w, row_bytes, rows, block_rows, x, k, r, sums);
		return;
	case WIDTH_OTHER:
		break;
	}
	for (size_t row = 0; row < rows; row += block_rows) {
		const struct weight_block b = {
			.w = (const uint8_t *)block,
			.row_bytes = stride * sizeof(float),
			.rows = (unsigned)MIN(rows - row, block_rows),
			.column = row,
			.sums = sums,
		};

		for (unsigned j = 0; j < b.rows; j++)
			decode_row(f, w + (row + j) * row_bytes, k, block + j * stride, codes,
				   scales, offsets);
		multiply_block(WIDTH_F32, &b, x, k, r, false);
	}
}
