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
