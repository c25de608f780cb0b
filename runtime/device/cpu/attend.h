/* SPDX-License-Identifier: MIT */
/* Attention's loops that are compiled once an instruction set: queries and tiles of the cache. */
#ifndef STOKER_CPU_ATTEND_H
#define STOKER_CPU_ATTEND_H

#include "device/cpu/kernels.h"

enum {
	ATTEND_ROWS = 64, /* cache rows that cpu_attend() takes, at most */
	CODE_BLOCK = 32,
	CODE_RANGE = 32767, /* of 16-bit codes */
};

/*
 * A query of attention and its running softmax; where keys are codes, @codes times @step is what
 * it is multiplied with, see cpu_round_query().
 */
struct query {
	const float *q;
	const int16_t *codes;
	float *out;	/* the sum of values times exp(score - top) so far, */
	float top, sum; /* and of these weights */
	float step;
	uint32_t first, end; /* cache rows it sees */
};

/*
 * Keys or values of one head: rows of floats or halves, @stride bytes apart; those from @split on
 * are in another page, @jump bytes further away.
 */
struct head_rows {
	uintptr_t at;
	size_t stride, split;
	uintptr_t jump;
	/* how far behind each row is what to ask memory for meanwhile, until @split and from there
	 * on; it may have ended; 0: nothing */
	uintptr_t ahead[2];
};

static inline uintptr_t row_at(const struct head_rows *rows, size_t row)
{
	return rows->at + row * rows->stride + (row < rows->split ? 0 : rows->jump);
}

/*
 * Keys or values of a quantized format, in blocks of CODE_BLOCK with a scale each.  Keys are
 * [ATTEND_ROWS / TILE_ROWS][width / 4][TILE_ROWS][4], fours of a row; values are
 * [ATTEND_ROWS / 4][width][4], fours of a column, in the order 0, 2, 1, 3.  Widths are rounded up
 * to whole blocks.
 */
struct code_tile {
	const int8_t *codes;
	/* [width / CODE_BLOCK][ATTEND_ROWS]; of values as parts of the largest, times CODE_RANGE */
	const float *scales;
	const float *most; /* of values: [width / CODE_BLOCK], the largest scale's magnitude */
	/* what to ask memory for meanwhile, a little at a time; 0: nothing */
	uintptr_t ahead;
	size_t ahead_bytes;
};

/* ATTEND_ROWS cache rows of a head, or fewer; values are rows or codes. */
struct kv_tile {
	struct head_rows keys, values;
	struct code_tile key_codes, value_codes;
	enum tile_kind { TILE_FLOATS, TILE_HALVES, TILE_COLUMNS, TILE_CODES } kind, value_kind;
	/* columns: keys are floats [ATTEND_ROWS / TILE_ROWS][key_size][TILE_ROWS] */
};

/*
 * attend.c: adds rows [first, end) of a tile to what the queries have found; they all see them.
 * @count is a power of two, at most struct cpu_kernels' queries; halves only where it says that
 * they can be read.
 */
ISA_DECLARE(void, cpu_attend, struct query *queries, unsigned count, const struct kv_tile *t,
	    unsigned first, unsigned end, const struct op_attention *op);
/* TILE_ROWS rows of @size floats as a tile's columns: [size][TILE_ROWS], 64-byte aligned. */
ISA_DECLARE(void, cpu_columns, const float *rows, size_t size, float *columns);

/*
 * attend_codes.c: products of codes are those of 8-bit codes with 16-bit ones, which a query's
 * values and the weights of a tile's rows are rounded to.  That adds far less than the cache's own
 * rounding has.
 */
ISA_DECLARE(void, cpu_round_query, struct query *q, size_t size, int16_t *codes);
/* False: a scale isn't finite, and there is nothing in @t. @room: cpu_code_room(). */
ISA_DECLARE(bool, cpu_pack_codes, const struct stoker_format *f, const struct head_rows *rows,
	    size_t count, size_t size, bool values, void *room, struct code_tile *t);
/* Scores [query][ATTEND_ROWS] of all rows in whole vectors that have some of [first, end). */
ISA_DECLARE(void, cpu_score_codes, const struct query *queries, unsigned count,
	    const struct code_tile *t, unsigned first, unsigned end, const struct op_attention *op,
	    float *scores);
/*
 * @weights: [query][ATTEND_ROWS], 0 outside of [first, end) as far as whole blocks of TILE_ROWS
 * have such rows; @most: at least the largest of each query.
 */
ISA_DECLARE(void, cpu_add_codes, struct query *queries, unsigned count, const struct code_tile *t,
	    unsigned first, unsigned end, const struct op_attention *op, const float *weights,
	    const float *most);

static inline size_t cpu_code_width(size_t size)
{
	return (size + CODE_BLOCK - 1) / CODE_BLOCK * CODE_BLOCK;
}

/* The tile, what transposing writes behind it, its scales; TILE_ROWS rows as they were. */
static inline size_t cpu_code_room(size_t size)
{
	const size_t width = cpu_code_width(size), blocks = width / CODE_BLOCK;

	return ATTEND_ROWS * width + TILE_ROWS * 64 +
	       round_up((ATTEND_ROWS + 1) * blocks * sizeof(float), 64) +
	       round_up(TILE_ROWS * width + 64, 64) +
	       round_up(TILE_ROWS * blocks * sizeof(float), 64);
}

#endif
