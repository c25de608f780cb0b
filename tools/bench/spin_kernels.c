// SPDX-License-Identifier: MIT
/* The loops that keep a processor multiplying: see spin.h.  Compiled once an instruction set. */
#include "bench/spin.h"
#include "device/cpu/tile_dot.h"
#include "device/cpu/vector_math.h"

/* Sums that stay in registers, of vectors as long as those. */
enum { SPIN_SUMS = 12, SPIN_DOTS = SPIN_SUMS / TILE_VECTORS };

static float spin_floats(uint32_t rounds)
{
	const vec factor = splat(0.5f + 1e-7f * (float)rounds);
	vec acc[SPIN_SUMS], sum = { 0 };

	for (int i = 0; i < SPIN_SUMS; i++)
		acc[i] = factor * (float)i;
	for (uint32_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
		for (int i = 0; i < SPIN_SUMS; i++)
			acc[i] = acc[i] * factor + factor;
	for (int i = 0; i < SPIN_SUMS; i++)
		sum += acc[i];
	return sum_of(sum);
}

static float spin_codes(uint32_t rounds)
{
	static const uint8_t zeros[16 * ACTIVATION_GROUP] __attribute__((aligned(64)));
	const struct tile_codes how = { .bias = 1, .steps = 8 };
	const uint8_t *tile = zeros;
	int8_t x[128] = { 1 };
	vec acc[SPIN_SUMS] = { 0 };
	float total = 1;

	/* so that the compiler doesn't know what is there */
	__asm__ volatile("" : "+r"(tile));
	for (uint32_t r = 0; r < rounds; r++) {
		x[r % 128] ^= 1;
#pragma GCC unroll 12
		for (int i = 0; i < SPIN_DOTS; i++) { /* each with codes of its own */
			const int8_t *codes = x + 4 * i;
			const int32_t corr = 128 * ((int32_t)(r % 1024) + i);
			const size_t at = 0;
			const struct tile_starts start = { .corr = &corr, .at = &at };
			vec sums[TILE_VECTORS];

			tile_dots(tile, &codes, 0, ACTIVATION_GROUP, 4, how, &start, 1, sums);
			for (int h = 0; h < TILE_VECTORS; h++)
				acc[TILE_VECTORS * i + h] += sums[h];
		}
	}
	for (int i = 0; i < SPIN_SUMS; i++)
		total += sum_of(acc[i]);
	return total;
}

float ISA_NAME(spin)(bool codes, uint32_t rounds)
{
	const float sum = codes ? spin_codes(rounds) : spin_floats(rounds);

	return sum == 0 ? 1 : sum;
}

unsigned ISA_NAME(spin_products)(bool codes)
{
	return codes ? SPIN_DOTS * TILE_ROWS * ACTIVATION_GROUP : SPIN_SUMS * LANES;
}
