/* SPDX-License-Identifier: MIT */
/*
 * Weights as the CPU keeps them: the rows of a matrix, 16 at a time, in tiles of the same size, so
 * that vectors load the same values of 16 rows without shuffling.  In a tile block b of all 16 rows
 * comes before block b + 1.  There the fields of a block (scales, codes: of 1, 2 or 4 bytes) follow
 * one another in the order in which they are read, each as often as there are rows.  What is left
 * of a matrix behind its last whole tile stays as it was.
 */
#ifndef STOKER_CPU_TILES_H
#define STOKER_CPU_TILES_H

#include "device/device.h"

/* Formats that there are tiles of, by their numbers in files. */
enum {
	TILE_Q4_0 = 2,
	TILE_Q8_0 = 8,
	TILE_Q4_K = 12,
	TILE_Q5_K = 13,
	TILE_Q6_K = 14,
	TILE_IQ4_NL = 20,
	TILE_IQ4_XS = 23,
	TILE_MXFP4 = 39,
};

/* Whether there are products for tiles of such weights. */
bool cpu_has_tiles(const struct stoker_format *f);

/* The size of cpu_tile_rows()'s scratch memory. */
size_t cpu_tile_scratch(const struct stoker_format *f, size_t k);

/* Rows of @k values to tiles, in place; a multiple of TILE_ROWS. */
void cpu_tile_rows(const struct stoker_format *f, uint8_t *rows, size_t count, size_t k,
		   uint8_t *scratch);

/* Row @row of a tile of rows of @k values as it was. */
void cpu_untile_row(const struct stoker_format *f, const uint8_t *tile, unsigned row, size_t k,
		    uint8_t *dst);

#endif
