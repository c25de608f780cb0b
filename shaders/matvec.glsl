/* SPDX-License-Identifier: MIT */
/*
 * What products of matrices with single rows have in common: the sums of ROWS rows of weights.
 * Activations are floats, or with DOT or PAIRS q8, as quantize.comp makes it.
 */
layout(constant_id = 2) const uint ROWS = 4;

#if defined(DOT) || defined(PAIRS)
#define Q8
#endif
#include "formats.glsl"

#ifdef Q8

#ifdef PAIRS
const uint X_WORDS = PAIR_WORDS;
#else
const uint X_WORDS = DOT_WORDS;
#endif

struct Group {
	uint word[X_WORDS];
	float scale, sum, first_sum; /* the sums of all and of the first 16, times the scale */
};

Group load_group(uint64_t src, uint g)
{
	Words m = Words(src + 4ul * (X_WORDS + Q8_EXTRA_WORDS) * g);
	Group x;

	[[unroll]] for (uint i = 0; i < X_WORDS; i++)
		x.word[i] = m.v[i];
	x.scale = uintBitsToFloat(m.v[X_WORDS]);
	x.sum = uintBitsToFloat(m.v[X_WORDS + 1]);
	x.first_sum = uintBitsToFloat(m.v[X_WORDS + 2]);
	return x;
}

#ifdef PAIRS

/*
 * Two products by one multiplication: (a + 2^16 b) (y + 2^16 x) has a x + b y in its upper half, once
 * the lower half's sign is taken into account.  Both halves hold sums of as many as stay within 15
 * bits, whatever the codes of a format are.
 */
const uint WORDS_A_SUM = CODE_MAX <= 15 ? 4 : CODE_MAX <= 31 ? 2 : 1;

int sum_of_products(const uint word[8], const uint x[X_WORDS], uint first)
{
	int sum = 0, both = 0;

	[[unroll]] for (uint i = 0; i < 4; i++) {
		both += int(word[first + i] & 0x00ff00ffu) * int(x[2 * (first + i)]);
		both += int(word[first + i] >> 8 & 0x00ff00ffu) * int(x[2 * (first + i) + 1]);
		if ((i + 1) % WORDS_A_SUM == 0) {
			sum += (both + 0x8000) >> 16;
			both = 0;
		}
	}
	return sum;
}

#else

int sum_of_products(const uint word[8], const uint x[X_WORDS], uint first)
{
	int sum = 0;

	[[unroll]] for (uint i = first; i < first + 4; i++)
		sum += dotPacked4x8EXT(int(word[i]), int(x[i]));
	return sum;
}

#endif

float product_of_q8(const uint word[8], vec2 scale, vec2 offset, const Group x)
{
	const int low = sum_of_products(word, x.word, 0), high = sum_of_products(word, x.word, 4);
	float y;

#ifdef GROUP_16
	y = x.scale * (scale.x * float(low) + scale.y * float(high));
#else
	y = x.scale * scale.x * float(low + high);
#endif
#ifdef AFFINE
#ifdef GROUP_16
	y += offset.x * x.first_sum + offset.y * (x.sum - x.first_sum);
#else
	y += offset.x * x.sum;
#endif
#endif
	return y;
}

float product(uint64_t row, uint g, const Group x)
{
	uint word[8];
	vec2 scale, offset;

	decode_words(row, g, word, scale, offset);
	return product_of_q8(word, scale, offset, x);
}

#else

struct Group {
	vec4 x[8];
	float low_sum, high_sum; /* of the first 16 and of the others */
};

Group load_group(uint64_t src, uint g)
{
	Vectors m = Vectors(src + 128ul * g);
	Group group;

	[[unroll]] for (uint i = 0; i < 8; i++)
		group.x[i] = m.v[i];
#ifdef IS_FLOAT
	if (32 * g + 32 > p.width) {
		[[unroll]] for (uint i = 0; i < 8; i++)
			group.x[i] = mix(vec4(0), group.x[i],
					 lessThan(32 * g + 4 * i + uvec4(0, 1, 2, 3),
						  uvec4(p.width)));
	}
#endif
#ifdef AFFINE
	const vec4 low = group.x[0] + group.x[1] + group.x[2] + group.x[3];
	const vec4 high = group.x[4] + group.x[5] + group.x[6] + group.x[7];

	group.low_sum = low.x + low.y + low.z + low.w;
	group.high_sum = high.x + high.y + high.z + high.w;
#endif
#ifdef IN_PLACE
	[[unroll]] for (uint i = 0; i < 8; i++)
		group.x[i] *= BYTE_PLACE;
#endif
	return group;
}

float product(uint64_t row, uint g, const Group group)
{
	vec4 code[8];
	vec2 scale, offset;
	vec4 low = vec4(0), high = vec4(0);
	float y;

	decode(row, g, code, scale, offset);
	[[unroll]] for (uint i = 0; i < 4; i++) {
		low = fma(code[i], group.x[i], low);
		high = fma(code[i + 4], group.x[i + 4], high);
	}
#ifdef GROUP_16
	low *= scale.x;
	high *= scale.y;
	low += high;
	y = low.x + low.y + low.z + low.w;
#else
	low += high;
	y = scale.x * (low.x + low.y + low.z + low.w);
#endif
#ifdef AFFINE
	y += offset.x * group.low_sum + offset.y * group.high_sum;
#endif
	return y;
}

#endif

/* Adds the products of rows with the groups @g, @g + @step, ... of @src. */
void add_groups(const uint64_t row[ROWS], uint64_t src, uint g, uint step, inout float sum[ROWS])
{
	const uint groups = (p.width + 31) / 32;

	for (; g < groups; g += step) {
		const Group x = load_group(src, g);

		[[unroll]] for (uint r = 0; r < ROWS; r++)
			sum[r] += product(row[r], g, x);
	}
}
