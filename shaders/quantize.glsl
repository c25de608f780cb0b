/* SPDX-License-Identifier: MIT */
/*
 * 32 values to 8-bit codes, as push_constants.h has them: of the kind Q8_KIND.  There are four codes in
 * a word, or with PAIRS two, the first 2^16 times as large, both signed.  A value that isn't finite
 * makes the scale NaN.
 */
#include "q8.glsl"

#ifndef CODES_ID
#define CODES_ID 2
#endif
layout(constant_id = CODES_ID) const uint Q8_KIND = Q8_DOT;

const bool PAIRS = Q8_KIND == Q8_PAIRS;
const uint CODE_WORDS = PAIRS ? PAIR_WORDS : DOT_WORDS;

/* Where the codes of group @g are, of those at @at. */
uint64_t q8_of(uint64_t at, uint g)
{
	return at + 4ul * (CODE_WORDS + Q8_EXTRA_WORDS) * g;
}

void store_q8(uint64_t at, const vec4 x[8])
{
	Words dst = Words(at);
	vec4 most = vec4(0);
	bool finite = true;
	int sums = 0;

	[[unroll]] for (uint k = 0; k < 8; k++) {
		most = max(most, abs(x[k]));
		finite = finite && is_finite(x[k].x) && is_finite(x[k].y) && is_finite(x[k].z) &&
			 is_finite(x[k].w);
	}
	const float largest =
		finite ? max(max(most.x, most.y), max(most.z, most.w)) : INFINITY;
	const float inverse = code_inverse(largest);

	[[unroll]] for (uint k = 0; k < 8; k++) {
		const ivec4 q = to_q8(x[k], inverse);

		sums += (q.x + q.y + q.z + q.w) * (k < 4 ? 65537 : 1);
		if (PAIRS) {
			const uvec2 pair = paired(q);

			dst.v[2 * k] = pair.x;
			dst.v[2 * k + 1] = pair.y;
		} else {
			dst.v[k] = (uint(q.x) & 255u) | (uint(q.y) & 255u) << 8 |
				   (uint(q.z) & 255u) << 16 | uint(q.w) << 24;
		}
	}
	store_sums(dst, CODE_WORDS, largest, sums);
	if (PAIRS)
		store_squares(dst, CODE_WORDS, 32.0);
}
