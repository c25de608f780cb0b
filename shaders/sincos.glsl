/* SPDX-License-Identifier: MIT */
/*
 * cos and sin of a float angle up to 2^25 and beyond: its quadrant and what is left of it come from
 * the product with 2 / pi in 64-bit integers, so that nothing depends on how floats are rounded.
 */
vec2 cos_sin(float angle)
{
	const uint bits = floatBitsToUint(abs(angle));
	uint quadrant = 0;
	float r = abs(angle);

	if (r >= 0.785) {
		const uint64_t m = uint64_t((bits & 0x7fffffu) | 0x800000u);
		/* m * 2/pi * 2^39; 2/pi is 0.A2F9836E 4E441529 in hexadecimal */
		const uint64_t x = (m * 0xa2f9836eul << 7) + (m * 0x4e441529ul >> 25);
		const uint shift = uint(max(189 - int(bits >> 23), 31)); /* of the unit's place */
		const uint64_t n = (x + (1ul << (shift - 1))) >> shift;
		const int64_t left = int64_t(x - (n << shift));

		quadrant = uint(n) & 3u;
		r = float(int(left >> (shift - 30))) * 1.4629180792671596e-9; /* pi / 2 / 2^30 */
	}
	const float z = r * r;
	const float s = r + r * z * (-1.6666666e-1 + z * (8.333331e-3 + z * (-1.984126e-4 + z * 2.7525562e-6)));
	const float c = 1.0 + z * (-0.5 + z * (4.16666418e-2 + z * (-1.388676377e-3 + z * 2.44331571e-5)));
	const vec2 v = (quadrant & 1u) != 0u ? vec2(-s, c) : vec2(c, s);
	const vec2 turn = (quadrant & 2u) != 0u ? -v : v;

	return vec2(turn.x, angle < 0.0 ? -turn.y : turn.y);
}
