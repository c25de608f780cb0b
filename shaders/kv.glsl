/* SPDX-License-Identifier: MIT */
/* The formats of the key-value cache: enum stoker_kv_format; attention adds values' << 4. */
layout(constant_id = 2) const uint KV_FORMATS = 1;
const uint KV_FORMAT = KV_FORMATS & 15u, VALUE_FORMAT = KV_FORMATS >> 4;

const uint KV_F32 = 0, KV_F16 = 1, KV_Q8_0 = 2;

uint kv_row_bytes(uint format, uint width)
{
	return format == KV_F32 ? 4 * width : format == KV_F16 ? 2 * width : (width + 31) / 32 * 34;
}

/* Where the @position's row of @bytes of a head is, if such rows are at @first in pages. */
uint64_t cache_row(uint64_t pages, uint64_t first, uint head, uint bytes, uint position)
{
	return Addresses(pages).v[position / KV_PAGE_ROWS] + first +
	       (head * KV_PAGE_ROWS + position % KV_PAGE_ROWS) * bytes;
}

/* Rounds to nearest, ties to even, on every device. */
uint half_bits(float f)
{
	const uint bits = floatBitsToUint(f), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
	const int exponent = int(magnitude >> 23) - 112;
	uint m, shift;

	if (magnitude > 0x7f800000u)
		return sign | 0x7e00u;
	if (magnitude >= 0x47800000u)
		return sign | 0x7c00u;
	if (exponent > 0) {
		m = magnitude - (112u << 23);
		return sign | (m + 0xfffu + (m >> 13 & 1u)) >> 13;
	}
	if (exponent < -10)
		return sign;
	shift = uint(14 - exponent);
	m = (magnitude & 0x7fffffu) | 0x800000u;
	return sign | (m + (1u << (shift - 1)) - 1u + (m >> shift & 1u)) >> shift;
}

int round_away(float x)
{
	return int(trunc(x + (x < 0.0 ? -0.5 : 0.5)));
}
