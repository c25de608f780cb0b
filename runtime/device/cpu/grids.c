// SPDX-License-Identifier: MIT
/* The codebooks of the IQ formats as products take them: see grids.h. */
#include "device/cpu/grids.h"

#include "quant/iq_grids.h"

/* What two or three bits of an entry stand for, see quant/iquant.c. */
#define IQ1_CODE(c) (8 * (c)-8)
#define IQ2_CODE(c) (8 + 17 * (c) + ((c) >> 1))
#define IQ3XXS_CODE(c) (4 + 8 * (c) + (((c) + 1) >> 3 << 1))
#define IQ3S_CODE(c) (2 * (c) + 1)

#define BYTE(type, code, shift) ((type)(uint8_t)(code) << (shift))
#define TWO_BITS(e, j) ((e) >> (2 * (j)) & 3)
#define THREE_BITS(e, j) ((e) >> (3 * (j)) & 7)

#define EIGHT_CODES(e, CODE)                                                                   \
	(BYTE(uint64_t, CODE(TWO_BITS(e, 0)), 0) | BYTE(uint64_t, CODE(TWO_BITS(e, 1)), 8) |   \
	 BYTE(uint64_t, CODE(TWO_BITS(e, 2)), 16) | BYTE(uint64_t, CODE(TWO_BITS(e, 3)), 24) | \
	 BYTE(uint64_t, CODE(TWO_BITS(e, 4)), 32) | BYTE(uint64_t, CODE(TWO_BITS(e, 5)), 40) | \
	 BYTE(uint64_t, CODE(TWO_BITS(e, 6)), 48) | BYTE(uint64_t, CODE(TWO_BITS(e, 7)), 56))
#define FOUR_CODES(e, CODE)                                                                      \
	(BYTE(uint32_t, CODE(THREE_BITS(e, 0)), 0) | BYTE(uint32_t, CODE(THREE_BITS(e, 1)), 8) | \
	 BYTE(uint32_t, CODE(THREE_BITS(e, 2)), 16) | BYTE(uint32_t, CODE(THREE_BITS(e, 3)), 24))

#define IQ1_ENTRY(e) EIGHT_CODES(e, IQ1_CODE),
#define IQ2_ENTRY(e) EIGHT_CODES(e, IQ2_CODE),
#define IQ3XXS_ENTRY(e) FOUR_CODES(e, IQ3XXS_CODE),
#define IQ3S_ENTRY(e) FOUR_CODES(e, IQ3S_CODE),

const uint64_t cpu_grid_iq1s[2048] = { IQ1S_GRID(IQ1_ENTRY) };
const uint64_t cpu_grid_iq2xxs[256] = { IQ2XXS_GRID(IQ2_ENTRY) };
const uint64_t cpu_grid_iq2xs[512] = { IQ2XS_GRID(IQ2_ENTRY) };
const uint64_t cpu_grid_iq2s[1024] = { IQ2S_GRID(IQ2_ENTRY) };
const uint32_t cpu_grid_iq3xxs[256] = { IQ3XXS_GRID(IQ3XXS_ENTRY) };
const uint32_t cpu_grid_iq3s[512] = { IQ3S_GRID(IQ3S_ENTRY) };

#define FIRST_FOUR(e) ((e)&255),
#define LAST_FOUR(e) ((e) >> 8),
#define EIGHTS(GRID)                    \
	{                               \
		{ GRID(FIRST_FOUR) },   \
		{                       \
			GRID(LAST_FOUR) \
		}                       \
	}

_Alignas(64) const uint8_t cpu_first_fours_iq1s[2048] = { IQ1S_GRID(FIRST_FOUR) };
_Alignas(64) const uint8_t cpu_planes_iq2xxs[2][256] = EIGHTS(IQ2XXS_GRID);
_Alignas(64) const uint8_t cpu_planes_iq2xs[2][512] = EIGHTS(IQ2XS_GRID);
_Alignas(64) const uint8_t cpu_planes_iq2s[2][1024] = EIGHTS(IQ2S_GRID);

#define XXS0(e) (62 + IQ3XXS_CODE(THREE_BITS(e, 0))),
#define XXS1(e) (62 + IQ3XXS_CODE(THREE_BITS(e, 1))),
#define XXS2(e) (62 + IQ3XXS_CODE(THREE_BITS(e, 2))),
#define XXS3(e) (62 + IQ3XXS_CODE(THREE_BITS(e, 3))),
#define S0(e) (15 + IQ3S_CODE(THREE_BITS(e, 0))),
#define S1(e) (15 + IQ3S_CODE(THREE_BITS(e, 1))),
#define S2(e) (15 + IQ3S_CODE(THREE_BITS(e, 2))),
#define S3(e) (15 + IQ3S_CODE(THREE_BITS(e, 3))),

_Alignas(64) const uint8_t cpu_planes_iq3xxs[4][256] = {
	{ IQ3XXS_GRID(XXS0) }, { IQ3XXS_GRID(XXS1) }, { IQ3XXS_GRID(XXS2) }, { IQ3XXS_GRID(XXS3) }
};
_Alignas(64) const uint8_t cpu_planes_iq3s[4][512] = {
	{ IQ3S_GRID(S0) }, { IQ3S_GRID(S1) }, { IQ3S_GRID(S2) }, { IQ3S_GRID(S3) }
};

#define EVEN(i) (uint8_t)((i) | __builtin_parity(i) << 7),
#define EVEN4(i) EVEN(i) EVEN((i) + 1) EVEN((i) + 2) EVEN((i) + 3)
#define EVEN16(i) EVEN4(i) EVEN4((i) + 4) EVEN4((i) + 8) EVEN4((i) + 12)
#define EVEN64(i) EVEN16(i) EVEN16((i) + 16) EVEN16((i) + 32) EVEN16((i) + 48)

_Alignas(64) const uint8_t cpu_even_bytes[128] = { EVEN64(0) EVEN64(64) };

_Alignas(64) const uint8_t cpu_last_fours_iq1s[3][128] = {
	{
		0x00, 0x00, 0x01, 0x02, 0x02, 0x04, 0x05, 0x05, 0x06, 0x08, 0x09, 0x0a, 0x0a,
		0x10, 0x11, 0x11, 0x12, 0x14, 0x14, 0x15, 0x15, 0x15, 0x16, 0x16, 0x18, 0x19,
		0x19, 0x1a, 0x20, 0x20, 0x21, 0x22, 0x24, 0x25, 0x25, 0x26, 0x28, 0x29, 0x2a,
		0x2a, 0x40, 0x41, 0x41, 0x42, 0x44, 0x45, 0x45, 0x45, 0x46, 0x46, 0x48, 0x49,
		0x49, 0x4a, 0x50, 0x50, 0x51, 0x51, 0x51, 0x52, 0x54, 0x54, 0x54, 0x55, 0x55,
		0x55, 0x55, 0x56, 0x56, 0x56, 0x58, 0x58, 0x59, 0x59, 0x5a, 0x5a, 0x60, 0x61,
		0x61, 0x62, 0x64, 0x64, 0x65, 0x65, 0x66, 0x66, 0x68, 0x69, 0x69, 0x6a, 0x80,
		0x81, 0x81, 0x82, 0x84, 0x85, 0x85, 0x86, 0x88, 0x89, 0x89, 0x8a, 0x90, 0x91,
		0x91, 0x92, 0x94, 0x94, 0x95, 0x95, 0x95, 0x96, 0x96, 0x98, 0x99, 0x99, 0x9a,
		0xa0, 0xa1, 0xa1, 0xa2, 0xa4, 0xa5, 0xa5, 0xa6, 0xa8, 0xa9, 0xaa,
	},
	{
		0x00, 0x01, 0x01, 0x02, 0x04, 0x05, 0x05, 0x06, 0x08, 0x09, 0x0a, 0x0a, 0x10,
		0x11, 0x11, 0x12, 0x14, 0x14, 0x15, 0x15, 0x15, 0x16, 0x16, 0x18, 0x19, 0x19,
		0x1a, 0x20, 0x20, 0x21, 0x22, 0x24, 0x24, 0x25, 0x26, 0x28, 0x29, 0x2a, 0x2a,
		0x40, 0x41, 0x41, 0x42, 0x44, 0x45, 0x45, 0x45, 0x46, 0x46, 0x48, 0x49, 0x49,
		0x4a, 0x50, 0x50, 0x51, 0x51, 0x51, 0x52, 0x54, 0x54, 0x54, 0x55, 0x55, 0x55,
		0x55, 0x56, 0x56, 0x56, 0x58, 0x58, 0x59, 0x59, 0x5a, 0x5a, 0x60, 0x61, 0x61,
		0x62, 0x64, 0x64, 0x65, 0x65, 0x66, 0x66, 0x68, 0x69, 0x69, 0x6a, 0x80, 0x81,
		0x81, 0x82, 0x84, 0x85, 0x85, 0x86, 0x88, 0x88, 0x89, 0x8a, 0x90, 0x91, 0x91,
		0x92, 0x94, 0x94, 0x95, 0x95, 0x95, 0x96, 0x96, 0x98, 0x99, 0x99, 0x9a, 0xa0,
		0xa0, 0xa1, 0xa2, 0xa4, 0xa5, 0xa5, 0xa6, 0xa8, 0xa9, 0xaa, 0xaa,
	},
	{
		16, 9,	16, 16, 9,  6,	16, 6,	6,  12, 14, 16, 6,  10, 16, 5,	7,  16, 9,
		16, 16, 6,  16, 7,  11, 16, 6,	8,  16, 1,  5,	12, 16, 16, 8,	7,  12, 15,
		16, 5,	5,  16, 7,  5,	14, 16, 16, 8,	16, 7,	11, 16, 14, 9,	16, 6,	16,
		16, 2,	10, 16, 16, 6,	16, 16, 16, 3,	16, 16, 8,  16, 6,  16, 13, 16, 9,
		11, 16, 5,  3,	16, 6,	16, 8,	16, 8,	5,  16, 2,  4,	12, 16, 4,  10, 6,
		16, 4,	7,  16, 16, 4,	10, 14, 16, 13, 15, 16, 10, 16, 16, 10, 16, 6,	8,
		16, 10, 9,  16, 16, 4,	10, 9,	16, 2,	9,  14, 12, 16,
	},
};
