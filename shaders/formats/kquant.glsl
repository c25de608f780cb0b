/* SPDX-License-Identifier: MIT */
/* Q2_K to Q6_K: see runtime/quant/kquant.c.  A group is an eighth of a block. */
#ifdef FORMAT_Q2_K
#define AFFINE
#define IN_PLACE
#define CODE_MAX 3
#define GROUP_16

void decode_words(uint64_t row, uint g, out uint code[8], out vec2 scale, out vec2 offset)
{
	Words m = Words(row + 84ul * (g / 8));
	const uint j = g % 8;
	const vec2 d = unpackHalf2x16(m.v[20]);
	const uint s = m.v[j / 2] >> 16 * (j & 1);

	scale = d.x * vec2(s & 15u, s >> 8 & 15u);
	offset = -d.y * vec2(s >> 4 & 15u, s >> 12 & 15u);
	[[unroll]] for (uint i = 0; i < 8; i++)
		code[i] = m.v[4 + 8 * (j / 4) + i] >> 2 * (j % 4) & 0x03030303u;
}

#elif defined(FORMAT_Q3_K)
#define AFFINE
#define IN_PLACE
#define CODE_MAX 7
#define GROUP_16

FETCH(8)

void decode_words(uint64_t row, uint g, out uint code[8], out vec2 scale, out vec2 offset)
{
	const uint64_t at = row + 110ul * (g / 8);
	const uint j = g % 8;
	uint high[8], q[8];

	/* 16 scales of 6 bits: low nibbles in 8 bytes, twice; high pairs in 4 bytes, four times */
	const uint low4 = word_at(at + 96 + 4 * (j / 2 & 1)) >> (16 * (j & 1) + 4 * (j / 4));
	const uint high2 = word_at(at + 104) >> (16 * (j & 1) + 2 * (j / 2));
	const uvec2 s = (uvec2(low4, low4 >> 8) & 15u) | (uvec2(high2, high2 >> 8) & 3u) << 4;

	scale = half_at(at + 108) * (vec2(s) - 32.0);
	offset = -4.0 * scale;
	fetch_8(at, high);
	fetch_8(at + 32 + 32 * (j / 4), q);
	[[unroll]] for (uint i = 0; i < 8; i++)
		code[i] = (q[i] >> 2 * (j % 4) & 0x03030303u) |
			  (high[i] >> j & 0x01010101u) << 2;
}

#elif defined(FORMAT_Q4_K) || defined(FORMAT_Q5_K)
#define AFFINE
#define IN_PLACE
#define CODE_MAX 31

void decode_words(uint64_t row, uint g, out uint code[8], out vec2 scale, out vec2 offset)
{
#ifdef FORMAT_Q4_K
	Words m = Words(row + 144ul * (g / 8));
	const uint codes = 4;
#else
	Words m = Words(row + 176ul * (g / 8));
	const uint codes = 12;
#endif
	const uint j = g % 8, k = 8 * (j % 4);
	const vec2 d = unpackHalf2x16(m.v[0]);
	const uint a = m.v[1] >> k, b = m.v[2] >> k, c = m.v[3] >> k;
	const uint s = j < 4 ? a & 63u : (c & 15u) | (a >> 6 & 3u) << 4;
	const uint o = j < 4 ? b & 63u : (c >> 4 & 15u) | (b >> 6 & 3u) << 4;

	scale = vec2(d.x * float(s));
	offset = vec2(-d.y * float(o));
	[[unroll]] for (uint i = 0; i < 8; i++) {
		uint q = m.v[codes + 8 * (j / 2) + i] >> 4 * (j & 1) & 0x0f0f0f0fu;

#ifdef FORMAT_Q5_K
		q |= (m.v[4 + i] >> j & 0x01010101u) << 4;
#endif
		code[i] = q;
	}
}

#elif defined(FORMAT_Q6_K)
#define AFFINE
#define IN_PLACE
#define CODE_MAX 63
#define GROUP_16

FETCH(8)

void decode_words(uint64_t row, uint g, out uint code[8], out vec2 scale, out vec2 offset)
{
	const uint64_t at = row + 210ul * (g / 8);
	const uint j = g % 8, part = j % 4;
	const uint s = short_at(at + 192 + 2 * j);
	uint low[8], high[8];

	scale = half_at(at + 208) * vec2(int(s << 24) >> 24, int(s << 16) >> 24);
	offset = -32.0 * scale;
	fetch_8(at + 64 * (j / 4) + 32 * (part & 1), low);
	fetch_8(at + 128 + 32 * (j / 4), high);
	[[unroll]] for (uint i = 0; i < 8; i++)
		code[i] = (low[i] >> 4 * (part / 2) & 0x0f0f0f0fu) |
			  (high[i] >> 2 * part & 0x03030303u) << 4;
}

#endif
