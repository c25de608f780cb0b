/* SPDX-License-Identifier: MIT */
/* A product of some rows of a matrix, of which the ops that multiply are made. */
#ifndef STOKER_CPU_PRODUCT_H
#define STOKER_CPU_PRODUCT_H

#include "device/cpu/cpu.h"

enum {
	GEMV_ROWS = 4, /* up to this many activation rows a tile isn't worth building, */
	GEMV_TILE_ROWS = MOST_FEW_ROWS, /* nor unpacking one that is there as a whole */
	GEMV_CHUNK = 32,
	LEAST_BFLOATS = 256, /* values of a row for which rounding activations to BF16 pays */
};

/* A product's input: floats, and their 8-bit form when the weight's format uses it. */
struct cpu_input {
	const float *x;
	struct q8_rows q;
	bool quantized;
};

/* The rows from @first on as rows 0, 1, 2 ... */
static inline struct q8_rows q8_rows_from(const struct q8_rows *q, size_t first)
{
	const size_t groups = first * (q->k / ACTIVATION_GROUP);

	return (struct q8_rows){
		.k = q->k,
		.codes = q->codes + first * q->k,
		.d = q->d + groups,
		.xs32 = q->xs32 + groups,
		.xs16 = q->xs16 + 2 * groups,
		.corr32 = q->corr32 + groups,
		.corr16 = q->corr16 + 2 * groups,
		.pairs16 = q->pairs16 + 4 * groups,
	};
}

/* Rows [first, first + rows) of the matrix @expert at @matrix for the activation rows of @r. */
void cpu_matmul_part(const struct cpu *cpu, unsigned thread, const struct stoker_weight *w,
		     stoker_address matrix, uint32_t expert, size_t first, size_t rows,
		     const struct cpu_input *in, const struct gemm_rows *r);

#endif
