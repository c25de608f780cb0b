/* SPDX-License-Identifier: MIT */
/*
 * Loops of the CPU device that are compiled once an instruction set.
 *
 * Matrix products work on tiles of 16 weight rows.  A tile's codes are laid out [in / 4][16][4], so
 * that one vector holds four consecutive codes of each of the 16 rows, and its scales
 * [in / group][16]; building it costs one pass over the weights and serves every activation row.
 */
#ifndef STOKER_CPU_KERNELS_H
#define STOKER_CPU_KERNELS_H

#include "device/device.h"

enum {
	TILE_ROWS = 16,
	ACTIVATION_GROUP = 32,
	MOST_FEW_ROWS = 16, /* activation rows that gemm_few() takes, at most */
};

/*
 * Activation rows quantized to 8 bits: x = d * code, one d for 32 values.  The sums let kernels add
 * offsets and use unsigned weight codes: xs = d * (sum of codes), corr = -128 * (sum of codes),
 * both for groups of 16 and of 32.
 */
struct q8_rows {
	size_t k;      /* values a row, a multiple of 32 */
	int8_t *codes; /* [rows][k] */
	float *d;      /* [rows][k / 32] */
	float *xs32, *xs16;
	int32_t *corr32, *corr16;
	/*
	 * [rows][k / 16][2], for AVX2: sums of the codes 0, 1, 4, 5 ... of 16, and of the others,
	 * as that adds pairs of products.
	 */
	int16_t *pairs16;
};

/* Which rows of the activations a product takes, and where its results go. */
struct gemm_rows {
	size_t count;
	const uint32_t *src, *dst; /* row numbers, NULL: 0, 1, 2 ... */
	float *out;		   /* of row 0 */
	size_t out_stride;
};

static inline size_t row_of(const uint32_t *index, size_t i)
{
	return index ? index[i] : i;
}

/* gemm.c, gemv.c, few_rows.c, float_gemm.c, bfloat_gemm.c, float_gemv.c: see struct cpu_kernels. */
ISA_DECLARE(void, cpu_gemm_q8, const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
	    unsigned rows, bool tiled, const struct q8_rows *x, const struct gemm_rows *r,
	    void *scratch);
ISA_DECLARE(void, cpu_gemm_float, const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
	    size_t rows, const float *x, size_t k, const struct gemm_rows *r, void *scratch);
ISA_DECLARE(void, cpu_gemm_bfloat, const uint8_t *w, size_t row_bytes, size_t rows, const float *x,
	    size_t k, const struct gemm_rows *r, void *scratch);
ISA_DECLARE(void, cpu_gemv_q8, const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
	    size_t rows, const struct q8_rows *x, size_t row, float *out, void *scratch);
ISA_DECLARE(void, cpu_gemv_float, const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
	    size_t rows, const float *x, size_t k, const struct gemm_rows *r, void *scratch);
ISA_DECLARE(void, cpu_gemv_tiles, const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
	    size_t rows, const struct q8_rows *x, const struct gemm_rows *r);
ISA_DECLARE(void, cpu_gemm_few, const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
	    size_t rows, const struct q8_rows *x, const struct gemm_rows *r, void *scratch);

/* See attend.h. */
struct query;
struct head_rows;
struct kv_tile;
struct code_tile;

struct cpu_kernels {
	/* @groups groups of a row from @first on; @x are their values. */
	void (*quantize)(const float *x, const struct q8_rows *q, size_t row, size_t first,
			 size_t groups);
	/*
	 * out[r][0 .. rows) = W x_r for up to 16 rows of W at @w, or 16 that lie in a tile (see
	 * tiles.h); @scratch has stoker_gemm_scratch(k) bytes, 64-byte aligned.
	 */
	void (*gemm_q8)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			unsigned rows, bool tiled, const struct q8_rows *x,
			const struct gemm_rows *r, void *scratch);
	/* The same of any number of rows of W, in any format, as floats. */
	void (*gemm_float)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			   size_t rows, const float *x, size_t k, const struct gemm_rows *r,
			   void *scratch);
	/* The same of BF16, with activations rounded to that; NULL where nothing multiplies them.
	 * Needs stoker_has_bfloat16(). */
	void (*gemm_bfloat)(const uint8_t *w, size_t row_bytes, size_t rows, const float *x,
			    size_t k, const struct gemm_rows *r, void *scratch);
	/* One activation row, any number of weight rows. */
	void (*gemv_q8)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			size_t rows, const struct q8_rows *x, size_t row, float *out,
			void *scratch);
	/* A few activation rows. */
	void (*gemv_float)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			   size_t rows, const float *x, size_t k, const struct gemm_rows *r,
			   void *scratch);
	/*
	 * Any number of whole tiles and activation rows; bit for bit what gemm_q8 gives.  For few
	 * rows, but more than one, the other one is faster: up to MOST_FEW_ROWS, with the same
	 * @scratch.
	 */
	void (*gemv_tiles)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			   size_t rows, const struct q8_rows *x, const struct gemm_rows *r);
	void (*gemm_few)(const struct stoker_format *f, const uint8_t *w, size_t row_bytes,
			 size_t rows, const struct q8_rows *x, const struct gemm_rows *r,
			 void *scratch);

	float (*dot)(const float *a, const float *b, size_t n);
	void (*axpy)(float *y, float a, const float *x, size_t n); /* y += a x */
	void (*scale)(float *y, float a, size_t n);
	/* see attend.h; how many queries go together, and whether halves can be read */
	void (*attend)(struct query *queries, unsigned count, const struct kv_tile *t,
		       unsigned first, unsigned end, const struct op_attention *op);
	void (*columns)(const float *rows, size_t size, float *columns);
	void (*round_query)(struct query *q, size_t size, int16_t *codes);
	bool (*pack_codes)(const struct stoker_format *f, const struct head_rows *rows,
			   size_t count, size_t size, bool values, void *room, struct code_tile *t);
	unsigned queries;
	bool reads_halves;
	float (*max)(const float *x, size_t n);
	float (*exp_sum)(float *x, float max, size_t n); /* x = exp(x - max), returns the sum */
	void (*glu)(enum stoker_activation kind, const float *gate, const float *up, float *dst,
		    size_t n);
	void (*sigmoid)(const float *x, float *dst, size_t n);
	void (*soft_cap)(float *x, float scale, float cap, size_t n); /* see op_scale */
	/*
	 * dst[i] = the sum over j of w[j * stride + i] * x[j][i], for @taps; its silu if asked for
	 */
	void (*convolve)(float *dst, const float *const *x, const float *w, size_t stride,
			 size_t taps, size_t n, bool silu);
	void (*kv_load)(enum stoker_kv_format format, const uint8_t *src, float *dst, size_t n);
	void (*kv_save)(enum stoker_kv_format format, const float *src, uint8_t *dst, size_t n);
};

extern const struct cpu_kernels cpu_kernels_scalar;
#if STOKER_X86
extern const struct cpu_kernels cpu_kernels_avx2, cpu_kernels_avxvnni, cpu_kernels_avx512;
#elif STOKER_ARM
extern const struct cpu_kernels cpu_kernels_dotprod;
#endif

/* Weight rows of @k values that a product makes floats of at a time. */
static inline size_t float_block_rows(size_t k)
{
	enum { FLOAT_BLOCK_BYTES = 192 << 10, MOST_ROWS = 60, FEWEST_ROWS = 12 };
	const size_t rows = FLOAT_BLOCK_BYTES / sizeof(float) / (k + 1);

	return rows < FEWEST_ROWS ? FEWEST_ROWS : MIN(rows, (size_t)MOST_ROWS);
}

/*
 * Scratch that a product over @k values needs: row-major codes or floats, a tile, two scale tables;
 * or a block of rows of floats, of which each has four sums of vectors.
 */
static inline size_t stoker_gemm_scratch(size_t k)
{
	return 2 * (TILE_ROWS * k * sizeof(float)) +
	       float_block_rows(k) * (k + 128) * sizeof(float) +
	       4 * (TILE_ROWS * (k / 16 + 4) * sizeof(float)) + 4096;
}

#endif
