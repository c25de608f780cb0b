// SPDX-License-Identifier: MIT
/* Products of weights as floats with one activation row, or a few: see kernels.h. */
#include "device/cpu/decode.h"
#include "device/cpu/float_dot.h"

enum {
	PIECE = 256, /* of a row at a time, so that reading goes on while it is computed */
	SHORT_ROW = LANES == 16 ? 4096 : 2048, /* values: activations stay in the first cache */
	AHEAD_BYTES = 1024,
};

/* Weight rows and what they are multiplied with. */
struct few_rows {
	const uint8_t *w;
	size_t row_bytes, rows, k;
	const float *x[NX];
	float *out[NX];
};

/*
 * Vectors whose sums are dot() of values [begin, end) of NW rows with each of @count activation
 * rows.  It has four sums of each; they are made one after another, for all rows at once.
 */
INLINE void dot_groups(enum width width, const uint8_t *const w[NW], const float *const *x,
		       int count, size_t begin, size_t end, vec out[NW][GX])
{
	const size_t fours = begin + (end - begin) / (4 * LANES) * (4 * LANES);
	vec sum[4][NW][GX];

	/* not unrolled: compilers would mix them, and run out of registers */
#pragma GCC unroll 1
	for (size_t v = 0; v < 4; v++) {
		vec acc[NW][GX] = { 0 };

		add_products(width, w, x, count, begin + v * LANES, fours, 4 * LANES, acc);
		for (int n = 0; n < NW * GX; n++)
			if (n % GX < count)
				sum[v][n / GX][n % GX] = acc[n / GX][n % GX];
	}
	if (fours < end)
		add_products(width, w, x, count, fours, end, LANES, sum[0]);
	for (int n = 0; n < NW * GX; n++)
		if (n % GX < count)
			out[n / GX][n % GX] = (sum[0][n / GX][n % GX] + sum[1][n / GX][n % GX]) +
					      (sum[2][n / GX][n % GX] + sum[3][n / GX][n % GX]);
}

/*
 * Pieces of NW rows in place.  Asked for meanwhile are those of the next NW, which is farther ahead
 * than processors look.
 */
INLINE void gemv_in_place(enum width width, const struct few_rows *f, int count)
{
	const size_t bytes = width_bytes(width), group_bytes = NW * f->row_bytes;
	const uint8_t *w = f->w;

	for (size_t row = 0; row < f->rows; row += NW, w += group_bytes) {
		const unsigned rows = (unsigned)MIN(f->rows - row, (size_t)NW);
		const uint8_t *from[NW];
		four_floats sum[NX] = { 0 };

		for (unsigned j = 0; j < NW; j++)
			from[j] = w + MIN(j, rows - 1) * f->row_bytes;
		for (size_t c = 0; c < f->k; c += PIECE) {
			const size_t end = MIN(f->k, c + PIECE);
			const size_t whole = c + (end - c) / LANES * LANES;
			vec part[NW][GX] = { 0 };
			four_floats y[NX];

			for (unsigned j = 0; j < rows; j++)
				prefetch_at((uintptr_t)from[j] + c * bytes + group_bytes,
					    PIECE * bytes);
			dot_groups(width, from, f->x, count, c, whole, part);
			fold_all_sums(part, count, y);
			for (int i = 0; i < count; i++) {
				for (unsigned j = 0; whole < end && j < rows; j++)
					y[i][j] += tail_of(width, from[j], f->x[i], whole, end);
				sum[i] += y[i];
			}
		}
		for (int i = 0; i < count; i++)
			for (unsigned j = 0; j < rows; j++)
				f->out[i][row + j] = sum[i][j];
	}
}

/* The same sums of one activation row with short rows: memory is read fastest from end to end. */
INLINE void gemv_short_rows(enum width width, const struct few_rows *f)
{
	const size_t bytes = width_bytes(width);
	const uint8_t *w = f->w;

	for (size_t row = 0; row < f->rows; row++, w += f->row_bytes) {
		float sum = 0;

		for (size_t c = 0; c < f->k; c += PIECE) {
			const size_t n = MIN(f->k - c, (size_t)PIECE);
			float part;

			prefetch_at((uintptr_t)w + c * bytes + AHEAD_BYTES, n * bytes);
			dot_with_all(width, w + c * bytes, f->x, c, n, 1, &part);
			sum += part;
		}
		f->out[0][row] = sum;
	}
}

INLINE void gemv_width(enum width width, const struct few_rows *f, int count)
{
	switch (count) {
	case 1:
		if (f->k <= SHORT_ROW)
			gemv_short_rows(width, f);
		else
			gemv_in_place(width, f, 1);
		break;
	case 2:
		gemv_in_place(width, f, 2);
		break;
	case 3:
		gemv_in_place(width, f, 3);
		break;
	default:
		gemv_in_place(width, f, 4);
	}
}

/* Where vectors can't read them: row by row, a piece widened at a time. */
INLINE void gemv_widened(stoker_widen_fn *widen, const struct few_rows *f, int count, float *piece)
{
	const size_t bytes = f->row_bytes / f->k;
	const uint8_t *w = f->w;

	for (size_t row = 0; row < f->rows; row++, w += f->row_bytes) {
		float sum[NX] = { 0 };

		for (size_t c = 0; c < f->k; c += PIECE) {
			const size_t n = MIN(f->k - c, (size_t)PIECE);
			float part[NX];

			prefetch_ahead(w + c * bytes, PIECE * bytes);
			widen(w + c * bytes, n, piece);
			dot_with_all(WIDTH_F32, (const uint8_t *)piece, f->x, c, n, count, part);
			for (int i = 0; i < count; i++)
				sum[i] += part[i];
		}
		for (int i = 0; i < count; i++)
			f->out[i][row] = sum[i];
	}
}

/* Codes and scales become floats a whole row at a time. */
static void gemv_decoded(const struct stoker_format *format, const struct few_rows *f, int count,
			 void *scratch)
{
	const size_t k = f->k;
	uint8_t *at = scratch;
	float *row = carve(&at, k * sizeof(float));
	float *scales = carve(&at, (k / 16 + 1) * sizeof(float));
	float *offsets = carve(&at, (k / 16 + 1) * sizeof(float));
	int8_t *codes = carve(&at, k);

	for (size_t i = 0; i < f->rows; i++) {
		const uint8_t *w = f->w + i * f->row_bytes;
		float sum[NX];

		prefetch_ahead(w, f->row_bytes);
		decode_row(format, w, k, row, codes, scales, offsets);
		if (count == 1)
			dot_with_all(WIDTH_F32, (const uint8_t *)row, f->x, 0, k, 1, sum);
		else
			dot_with_all(WIDTH_F32, (const uint8_t *)row, f->x, 0, k, count, sum);
		for (int n = 0; n < count; n++)
			f->out[n][i] = sum[n];
	}
}

void ISA_NAME(cpu_gemv_float)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			      size_t rows, const float *x, size_t k, const struct gemm_rows *r,
			      void *scratch)
{
	for (size_t first = 0; first < r->count; first += NX) {
		const int count = (int)MIN(r->count - first, (size_t)NX);
		struct few_rows few = { .w = w, .row_bytes = row_bytes, .rows = rows, .k = k };

		for (int i = 0; i < count; i++) {
			few.x[i] = x + row_of(r->src, first + (size_t)i) * k;
			few.out[i] = r->out + row_of(r->dst, first + (size_t)i) * r->out_stride;
		}
		switch (width_in_place(f, w)) {
		case WIDTH_F32:
			gemv_width(WIDTH_F32, &few, count);
			break;
		case WIDTH_F16:
			gemv_width(WIDTH_F16, &few, count);
			break;
		case WIDTH_BF16:
			gemv_width(WIDTH_BF16, &few, count);
			break;
		case WIDTH_OTHER:
			if (f->group)
				gemv_decoded(f, &few, count, scratch);
			else if (count == 1)
				gemv_widened(f->widen[THIS_ISA], &few, 1, scratch);
			else
				gemv_widened(f->widen[THIS_ISA], &few, count, scratch);
		}
	}
}
