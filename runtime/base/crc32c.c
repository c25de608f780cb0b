// SPDX-License-Identifier: MIT
/* CRC-32C, see crc32c.h, with the instruction for it where there is one. */
#include "base/crc32c.h"

#include "base/base.h"
#include "base/isa.h"

/* compilers whose header has the instruction for functions that say they use it, or for all */
#if STOKER_ARM && (!defined(__clang__) || defined(__ARM_FEATURE_CRC32))
#include <arm_acle.h>
#include <sys/auxv.h>
#define HAS_ARM_CRC 1
#endif

static uint32_t plain(uint32_t crc, const uint8_t *p, size_t bytes)
{
	/* remainders of four bits */
	static const uint32_t four[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (size_t i = 0; i < bytes; i++) {
		crc ^= p[i];
		crc = four[crc & 15] ^ crc >> 4;
		crc = four[crc & 15] ^ crc >> 4;
	}
	return crc;
}

uint32_t stoker_crc32c_plain(uint32_t crc, const void *data, size_t bytes)
{
	return ~plain(~crc, data, bytes);
}

#if STOKER_X86 || HAS_ARM_CRC

enum { LANE_BYTES = 8192 };		       /* of each of three streams */
static const uint32_t polynomial = 0x82f63b78; /* its lowest bit is the highest power */

#if STOKER_X86
#define WITH_CRC __attribute__((target("sse4.2")))
#define CRC_8(crc, byte) __builtin_ia32_crc32qi(crc, byte)
#define CRC_64(crc, word) ((uint32_t)__builtin_ia32_crc32di(crc, word))

static bool has_crc(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
#define WITH_CRC __attribute__((target("+crc")))
#define CRC_8(crc, byte) __crc32cb(crc, byte)
#define CRC_64(crc, word) __crc32cd(crc, word)

static bool has_crc(void)
{
	enum { CRC32 = 1 << 7 }; /* HWCAP_CRC32 */

	return getauxval(AT_HWCAP) & CRC32;
}
#endif

/* The product of two polynomials modulo the third. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
		product ^= a & bit ? b : 0;
		b = b >> 1 ^ (b & 1 ? polynomial : 0);
	}
	return product;
}

/* What a remainder is multiplied with when @bytes zeros come behind it: x to the power of bits. */
static uint32_t shift_of(size_t bytes)
{
	uint32_t power = 1u << 31, square = 1u << 30;

	for (size_t bits = 8 * bytes; bits; bits >>= 1) {
		power = bits & 1 ? multiply(power, square) : power;
		square = multiply(square, square);
	}
	return power;
}

static uint64_t word_at(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

WITH_CRC static uint32_t one_lane(uint32_t crc, const uint8_t *p, size_t bytes)
{
	for (; bytes >= 8; p += 8, bytes -= 8)
		crc = CRC_64(crc, word_at(p));
	for (; bytes; p++, bytes--)
		crc = CRC_8(crc, *p);
	return crc;
}

/* An instruction takes three times as long as until the next can begin. */
WITH_CRC static uint32_t three_lanes(uint32_t crc, const uint8_t *p, uint32_t shift)
{
	uint32_t second = 0, third = 0;

	for (size_t i = 0; i < LANE_BYTES; i += 8) {
		crc = CRC_64(crc, word_at(p + i));
		second = CRC_64(second, word_at(p + LANE_BYTES + i));
		third = CRC_64(third, word_at(p + 2 * LANE_BYTES + i));
	}
	return multiply(shift, multiply(shift, crc) ^ second) ^ third;
}

uint32_t stoker_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	if (!has_crc())
		return stoker_crc32c_plain(crc, data, bytes);
	crc = ~crc;
	if (bytes >= 3 * LANE_BYTES) {
		const uint32_t shift = shift_of(LANE_BYTES);

		for (; bytes >= 3 * LANE_BYTES; p += 3 * LANE_BYTES, bytes -= 3 * LANE_BYTES)
			crc = three_lanes(crc, p, shift);
	}
	return ~one_lane(crc, p, bytes);
}

#else

uint32_t stoker_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	return stoker_crc32c_plain(crc, data, bytes);
}

#endif
