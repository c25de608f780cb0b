/* SPDX-License-Identifier: MIT */
/*
 * Fields of blocks that lie in tiles, as tiles.h says, as vectors: a field is there 16 times in a
 * row, at 16 times its place in a reordered block.
 */
#ifndef STOKER_CPU_TILE_FIELDS_H
#define STOKER_CPU_TILE_FIELDS_H

#include "device/cpu/kernels.h"
#include "device/cpu/vectors.h"

typedef uint8_t byte_vec __attribute__((vector_size(4 * LANES)));
typedef uint8_t byte_vec_unaligned __attribute__((vector_size(4 * LANES), aligned(1), may_alias));
typedef uint16_t word_vec __attribute__((vector_size(4 * LANES)));
typedef ivec ivec_unaligned __attribute__((aligned(1), may_alias));
typedef uint8_t lane_bytes __attribute__((vector_size(LANES)));
typedef uint16_t lane_words __attribute__((vector_size(2 * LANES)));

/* Half floats of LANES rows from @row on. */
INLINE vec halves(const uint8_t *field, int row)
{
	return load_halves(field + 2 * row);
}

INLINE ivec dwords(const uint8_t *field, int row)
{
	return *(const ivec_unaligned *)(const void *)(field + 4 * row);
}

INLINE vec floats(ivec v)
{
	return __builtin_convertvector(v, vec);
}

#endif
