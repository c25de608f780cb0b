/* SPDX-License-Identifier: MIT */
/*
 * The codebooks of the IQ formats as products take them.  An entry stands for eight codes or four;
 * their signs, or in IQ1 what is added to them, come from elsewhere.
 */
#ifndef STOKER_CPU_GRIDS_H
#define STOKER_CPU_GRIDS_H

#include <stdint.h>

/* The codes of an entry, the first one in the lowest byte. */
extern const uint64_t cpu_grid_iq1s[2048], cpu_grid_iq2xxs[256], cpu_grid_iq2xs[512],
	cpu_grid_iq2s[1024];
extern const uint32_t cpu_grid_iq3xxs[256], cpu_grid_iq3s[512];

/*
 * Bytes of all entries one after another.  Of eight codes the first byte has four, two bits each,
 * and the second one the others; of four there is a byte for each, larger by the largest code.
 */
extern const uint8_t cpu_planes_iq2xxs[2][256], cpu_planes_iq2xs[2][512], cpu_planes_iq2s[2][1024],
	cpu_planes_iq3xxs[4][256], cpu_planes_iq3s[4][512];

/*
 * The same two bytes of IQ1.  The second ones of 16 entries are two different ones at most: those
 * of the first of them and of the last, and which one is the first to have the latter, or 16.
 */
extern const uint8_t cpu_first_fours_iq1s[2048], cpu_last_fours_iq1s[3][128];

/* Seven bits with an eighth that makes the number of those that are set even. */
extern const uint8_t cpu_even_bytes[128];

#endif
