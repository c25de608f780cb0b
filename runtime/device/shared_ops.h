/* SPDX-License-Identifier: MIT */
/*
 * Ops whose structs a shader takes as they are, read by C and by GLSL.  Members are 64-bit
 * addresses first and then 32-bit numbers, so that both lay them out alike.
 */
#ifndef STOKER_SHARED_OPS_H
#define STOKER_SHARED_OPS_H

#ifdef __STDC__
#include <stdint.h>
typedef uint64_t stoker_address; /* 0: none */
#else
#define stoker_address uint64_t
#endif

/*
 * The cache is in pages of so many positions.  A page has room for all layers of its kind: for each
 * of them first keys and then values, which are the rows of its positions of one head after those
 * of another.
 */
#define KV_PAGE_ROWS 64

/*
 * Where a row belongs.  An op's @places has one for each row, in device memory, so that a recording
 * can be run again for others.  Rows of a sequence follow one another, in order of their positions.
 * Position p of it is in the page at @pages[p / KV_PAGE_ROWS]; entries behind the last position of
 * a sequence aren't read.
 */
struct row_place {
	stoker_address pages; /* stoker_address[], of this sequence alone */
	uint32_t position;    /* in its sequence, from 0 on */
	uint32_t state;	      /* which slot has what recurrent layers know of the sequence */
};

/* dst[row][0..width) = src[row][0..width) */
struct op_copy {
	stoker_address dst, src;
	uint32_t rows, width, dst_stride, src_stride;
};

/*
 * dst[row][0..width) = src[ids[row]][0..width), where @src has @src_rows rows.  Rows may be taken
 * in any order and several times; @dst isn't among them.
 */
struct op_gather {
	stoker_address dst, src, ids; /* uint32_t[rows] */
	uint32_t rows, width, dst_stride, src_stride, src_rows;
};

#endif
