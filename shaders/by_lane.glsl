/* SPDX-License-Identifier: MIT */
/*
 * What kernels for processors that emulate a GPU have in common.  Each lane computes ROWS outputs of
 * its own: what it reads lies far apart, but activations are the same for all lanes, which such
 * processors load only once.
 */
#include "matvec.glsl"

/* The @r-th output of this lane, of those that its subgroup begins with @first. */
uint output_of(uint first, uint r)
{
	return first + gl_SubgroupInvocationID * ROWS + r;
}

#if defined(BY_TWO) && defined(Q8)

/* Groups @g and @g + 1 of rows that begin at multiples of four. */
void add_two(const uint64_t row[ROWS], uint64_t src, uint g, inout float sum[ROWS])
{
	const Group first = load_group(src, g), second = load_group(src, g + 1);

	[[unroll]] for (uint r = 0; r < ROWS; r++) {
		Words m = Words(row[r] + 2ul * WORDS_OF_TWO * g);
		uint w[WORDS_OF_TWO], word[8];
		vec2 scale, offset;

		[[unroll]] for (uint i = 0; i < WORDS_OF_TWO; i++)
			w[i] = m.v[i];
		decode_of_two(w, 0, word, scale, offset);
		sum[r] += product_of_q8(word, scale, offset, first);
		decode_of_two(w, 1, word, scale, offset);
		sum[r] += product_of_q8(word, scale, offset, second);
	}
}

#endif

#ifdef PAIRS

#include "q8.glsl"

/* What the products with a row of q8 are multiplied by: see push_quantize. */
float norm_of(uint64_t src)
{
	const uint groups = p.width / 32;
	float sum = 0.0;

	for (uint g = gl_SubgroupInvocationID; g < groups; g += gl_SubgroupSize)
		sum += Floats(src).v[(X_WORDS + Q8_EXTRA_WORDS) * (g + 1) - 1];
	return 1.0 / sqrt(subgroupAdd(sum) / float(p.width));
}

/* Q8 of the 32 values of a subgroup's lanes, group @g of all. */
void store_q8(uint64_t at, uint g, const float x[ROWS], float squares)
{
	Words dst = Words(at + 4ul * (X_WORDS + Q8_EXTRA_WORDS) * g);
	const uint lane = gl_SubgroupInvocationID;
	float largest = 0.0;
	int sums = 0;

	[[unroll]] for (uint r = 0; r < ROWS; r++)
		largest = max(largest, size_of(x[r]));
	largest = subgroupMax(largest);
	const float inverse = code_inverse(largest);

	[[unroll]] for (uint r = 0; r + 4 <= ROWS; r += 4) {
		const ivec4 q = to_q8(vec4(x[r], x[r + 1], x[r + 2], x[r + 3]), inverse);
		const uvec2 pair = paired(q);

		dst.v[(lane * ROWS + r) / 2] = pair.x;
		dst.v[(lane * ROWS + r) / 2 + 1] = pair.y;
		sums += (q.x + q.y + q.z + q.w) * (lane * ROWS + r < 16 ? 65537 : 1);
	}
	sums = subgroupAdd(sums);
	if (lane == 0) {
		store_sums(dst, X_WORDS, largest, sums);
		store_squares(dst, X_WORDS, squares);
	}
}

#else

float norm_of(uint64_t src)
{
	return 1.0;
}

#endif

/* The products of ROWS rows with @src. */
void multiply(const uint64_t row[ROWS], uint64_t src, out float y[ROWS])
{
	const float norm = norm_of(src);
	uint g = 0;

	[[unroll]] for (uint r = 0; r < ROWS; r++)
		y[r] = 0.0;
#if defined(BY_TWO) && defined(Q8)
	if ((p.row_bytes & 3u) == 0u)
		for (const uint groups = p.width / 32; g + 1 < groups; g += 2)
			add_two(row, src, g, y);
#endif
	add_groups(row, src, g, 1, y);
	[[unroll]] for (uint r = 0; r < ROWS; r++)
		y[r] *= norm;
}
