// SPDX-License-Identifier: MIT
/* Products of weights as floats with one activation row, or a few: see kernels.h. */
#include "device/cpu/decode.h"
#include "device/cpu/float_dot.h"

enum {
	PIECE = 256, /* of a row at a time, so that reading goes on while it is computed */
	GROUP = NX,  /* rows whose lanes are added up together */
};

/* Weight rows and what they are multiplied with. */
struct few_rows {
	const uint8_t *w;
	size_t row_bytes, rows, k;
	const float *x[NX];
	float *out[NX];
};

/* Row by row; where there is @widen, pieces become floats at @piece first. */
INLINE void gemv_rows(enum width width, stoker_widen_fn *widen, const struct few_rows *f, int count,
		      float *piece)
{
	const size_t bytes = f->row_bytes / f->k;
	const uint8_t *w = f->w;

	for (size_t row = 0; row < f->rows; row++, w += f->row_bytes) {
		float sum[NX] = { 0 };

		for (size_t c = 0; c < f->k; c += PIECE) {
			const size_t n = MIN(f->k - c, (size_t)PIECE);
			const uint8_t *at = w + c * bytes;
			float part[NX];

			prefetch_ahead(at, PIECE * bytes);
			if (widen) {
				widen(at, n, piece);
				at = (const uint8_t *)piece;
			}
			dot_with_all(width, at, f->x, c, n, count, part);
			for (int i = 0; i < count; i++)
				sum[i] += part[i];
		}
		for (int i = 0; i < count; i++)
			f->out[i][row] = sum[i];
	}
}

/*
 * Pieces of GROUP rows, the same bit for bit: lanes of vectors are added up for all at once.  Asked
 * for meanwhile are those of the next GROUP, which is farther ahead than processors look.
 */
INLINE void gemv_groups(enum width width, const struct few_rows *f, int count)
{
	const size_t bytes = width_bytes(width), group_bytes = GROUP * f->row_bytes;
	const uint8_t *w = f->w;

	for (size_t row = 0; row < f->rows; row += GROUP, w += group_bytes) {
		const unsigned rows = (unsigned)MIN(f->rows - row, (size_t)GROUP);
		four_floats sum[GROUP] = { 0 };

		for (size_t c = 0; c < f->k; c += PIECE) {
			const size_t n = MIN(f->k - c, (size_t)PIECE), whole = n / LANES * LANES;
			vec part[NX][GROUP] = { 0 };
			four_floats y[GROUP];

			for (unsigned j = 0; j < rows; j++) {
				const uint8_t *at = w + j * f->row_bytes + c * bytes;
				vec v[NX];

				prefetch_at((uintptr_t)at + group_bytes, PIECE * bytes);
				dot_vectors_all(width, at, f->x, c, whole, count, v);
				for (int i = 0; i < count; i++)
					part[i][j] = v[i];
			}
			fold_sums(part, count, y);
			for (unsigned j = 0; j < rows; j++) {
				for (int i = 0; whole < n && i < count; i++)
					y[j][i] += tail_of(width, w + j * f->row_bytes, f->x[i],
							   c + whole, c + n);
				sum[j] += y[j];
			}
		}
		for (int i = 0; i < count; i++)
			for (unsigned j = 0; j < rows; j++)
				f->out[i][row + j] = sum[j][i];
	}
}

INLINE void gemv_width(enum width width, const struct few_rows *f, int count)
{
	switch (count) {
	case 1:
		gemv_groups(width, f, 1);
		break;
	case 2:
		gemv_groups(width, f, 2);
		break;
	case 3:
		gemv_groups(width, f, 3);
		break;
	default:
		gemv_groups(width, f, 4);
	}
}

static void gemv_widened(stoker_widen_fn *widen, const struct few_rows *f, int count, float *piece)
{
	if (count == 1)
		gemv_rows(WIDTH_F32, widen, f, 1, piece);
	else
		gemv_rows(WIDTH_F32, widen, f, count, piece);
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
			else
				gemv_widened(f->widen[THIS_ISA], &few, count, scratch);
		}
	}
}
