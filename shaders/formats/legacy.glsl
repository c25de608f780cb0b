/* SPDX-License-Identifier: MIT */
/* Q1_0, Q2_0, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: see runtime/quant/legacy.c. */
#ifdef FORMAT_Q1_0
#define AFFINE
#define IN_PLACE
#define CODE_MAX 1

void decode_words(uint64_t row, uint g, out uint code[8], out vec2 scale, out vec2 offset)
{
	const uint64_t at = row + 18ul * (g / 4);
	const uint bits = word_at(at + 2 + 4 * (g % 4));
	const float d = half_at(at);

	scale = vec2(2.0 * d);
	offset = vec2(-d);
	[[unroll]] for (uint i = 0; i < 8; i++) {
		const uint four = bits >> 4 * i & 15u;

		code[i] = (four | four << 7 | four << 14 | four << 21) & 0x01010101u;
	}
}

#elif defined(FORMAT_Q2_0)
#define AFFINE
#define IN_PLACE
#define CODE_MAX 3

FETCH(2)

void decode_words(uint64_t row, uint g, out uint code[8], out vec2 scale, out vec2 offset)
{
	const uint64_t at = row + 18ul * (g / 2);
	uint w[2];

	scale = vec2(half_at(at));
	offset = -scale;
	fetch_2(at + 2 + 8 * (g % 2), w);
	[[unroll]] for (uint i = 0; i < 8; i++) {
		const uint four = w[i / 4] >> 8 * (i % 4) & 255u;

		code[i] = (four | four << 6 | four << 12 | four << 18) & 0x03030303u;
	}
}

#elif defined(FORMAT_Q4_0)
#define AFFINE
#define IN_PLACE
#define CODE_MAX 15

/* The group that begins with the upper or the lower half of w[0]. */
void codes_of_words(const uint w[5], bool lower, out uint code[8], out vec2 scale, out vec2 offset)
{
	scale = unpackHalf2x16(lower ? w[0] : w[0] >> 16).xx;
	offset = -8.0 * scale;
	[[unroll]] for (uint i = 0; i < 4; i++) {
		const uint q = lower ? w[i] >> 16 | w[i + 1] << 16 : w[i + 1];

		code[i] = q & 0x0f0f0f0fu;
		code[i + 4] = q >> 4 & 0x0f0f0f0fu;
	}
}

void decode_words(uint64_t row, uint g, out uint code[8], out vec2 scale, out vec2 offset)
{
	/* 18 bytes from an even address on lie in five aligned words */
	const uint64_t at = row + 18ul * g;
	Words m = Words(at & ~3ul);
	uint w[5];

	[[unroll]] for (uint i = 0; i < 5; i++)
		w[i] = m.v[i];
	codes_of_words(w, (uint(at) & 2u) == 0u, code, scale, offset);
}

/* Two groups at once, which spares shifting words into place one way or the other. */
#define BY_TWO
const uint WORDS_OF_TWO = 9;

void decode_of_two(const uint w[WORDS_OF_TWO], uint i, out uint code[8], out vec2 scale,
		 out vec2 offset)
{
	codes_of_words(uint[](w[4 * i], w[4 * i + 1], w[4 * i + 2], w[4 * i + 3],
			      w[4 * i + 4]),
		       i == 0, code, scale, offset);
}

#elif defined(FORMAT_Q4_1)
#define AFFINE
#define IN_PLACE
#define CODE_MAX 15

void decode_words(uint64_t row, uint g, out uint code[8], out vec2 scale, out vec2 offset)
{
	Words m = Words(row + 20ul * g);
	const vec2 both = unpackHalf2x16(m.v[0]);

	scale = both.xx;
	offset = both.yy;
	[[unroll]] for (uint i = 0; i < 4; i++) {
		const uint q = m.v[1 + i];

		code[i] = q & 0x0f0f0f0fu;
		code[i + 4] = q >> 4 & 0x0f0f0f0fu;
	}
}

#elif defined(FORMAT_Q5_0) || defined(FORMAT_Q5_1)
#define AFFINE
#define IN_PLACE
#define CODE_MAX 31

FETCH(5)

/* Four bits to bytes of 0 or 16. */
uint fifth_bits(uint bits)
{
	return (bits << 4 & 0x10u) | (bits << 11 & 0x1000u) | (bits << 18 & 0x100000u) |
	       (bits << 25 & 0x10000000u);
}

void decode_words(uint64_t row, uint g, out uint code[8], out vec2 scale, out vec2 offset)
{
	uint w[5];

#ifdef FORMAT_Q5_0
	scale = vec2(half_at(row + 22ul * g));
	offset = -16.0 * scale;
	fetch_5(row + 22ul * g + 2, w);
#else
	const vec2 both = unpackHalf2x16(Words(row + 24ul * g).v[0]);

	scale = both.xx;
	offset = both.yy;
	fetch_5(row + 24ul * g + 4, w);
#endif
	[[unroll]] for (uint i = 0; i < 4; i++) {
		code[i] = (w[1 + i] & 0x0f0f0f0fu) | fifth_bits(w[0] >> 4 * i);
		code[i + 4] = (w[1 + i] >> 4 & 0x0f0f0f0fu) | fifth_bits(w[0] >> (16 + 4 * i));
	}
}

#elif defined(FORMAT_Q8_0)
#define SIGNED_WORDS

FETCH(8)

void decode_words(uint64_t row, uint g, out uint code[8], out vec2 scale, out vec2 offset)
{
	uint w[8];

	scale = vec2(half_at(row + 34ul * g));
	offset = vec2(0);
	fetch_8(row + 34ul * g + 2, w);
	[[unroll]] for (uint i = 0; i < 8; i++)
		code[i] = w[i];
}

#endif
