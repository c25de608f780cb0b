/* SPDX-License-Identifier: MIT */
/* How values become 8-bit codes: value = scale * code, where the largest of 32 has code 127. */

/* @largest isn't finite where a value isn't: all values are NaN then. */
float code_scale(float largest)
{
	return !is_finite(largest) ? uintBitsToFloat(0x7fc00000u)
				   : largest >= 1e-36 ? largest / 127.0 : 0.0;
}

/* What values are multiplied by; 0: all codes are 0. */
float code_inverse(float largest)
{
	return is_finite(largest) && largest >= 1e-36 ? 127.0 / largest : 0.0;
}

ivec4 to_q8(vec4 x, float inverse)
{
	return inverse > 0.0 ? ivec4(roundEven(x * inverse)) : ivec4(0);
}

float size_of(float x)
{
	return is_finite(x) ? abs(x) : INFINITY;
}

/*
 * What stands behind the codes, from word @at on.  @sums: of all codes, and 2^16 times that of the
 * first 16; neither has more than 15 bits.
 */
void store_sums(Words dst, uint at, float largest, int sums)
{
	const int all = sums << 16 >> 16, first = (sums - all) >> 16;
	const float scale = code_scale(largest);

	dst.v[at] = floatBitsToUint(scale);
	dst.v[at + 1] = floatBitsToUint(scale * float(all));
	dst.v[at + 2] = floatBitsToUint(scale * float(first));
}

/* Behind that: see push_quantize. */
void store_squares(Words dst, uint at, float squares)
{
	dst.v[at + 3] = floatBitsToUint(squares);
}

/* Four codes as two words of pairs: the first and the third, and the others. */
uvec2 paired(ivec4 q)
{
	return uvec2(q.xy * 65536 + q.zw);
}
