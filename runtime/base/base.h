/* SPDX-License-Identifier: MIT */
/* What every layer uses: errors, checked arithmetic, cleanup, half floats. */
#ifndef STOKER_BASE_H
#define STOKER_BASE_H

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/locale.h"
#include "stoker/error.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/*
 * stoker_fail() - fill @err (which may be NULL) and return @code, a negative errno, so that a
 * failing function ends in one statement.  Control characters are shown, see stoker_escape().
 */
int stoker_fail(struct stoker_error *err, int code, const char *fmt, ...) PRINTF(3, 4);
void stoker_say(struct stoker_error *err, const char *fmt, va_list args) PRINTF(2, 0);
/* Adds the figures of a budget to a sentence that is there; returns -ENOMEM. */
int stoker_fall_short(struct stoker_error *err, uint64_t needed, uint64_t available);

/*
 * @length bytes of @text as one line that a terminal can be given: control characters and bytes
 * that aren't UTF-8 become "\n", "\x1b", "\u202e"; as much of it as fits, NUL-terminated.
 * Returns the length of what was written.
 */
size_t stoker_escape(char *out, size_t size, const char *text, size_t length);

/* stoker_mul() and stoker_add() - false when the result does not fit. */
static inline bool stoker_mul(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

static inline bool stoker_add(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

/* The middle one of @count numbers, which it sorts. */
double stoker_median(double *numbers, size_t count);

static inline uint64_t round_up(uint64_t value, uint64_t multiple)
{
	return (value + multiple - 1) / multiple * multiple;
}

static inline void stoker_free_pointer(void *p)
{
	free(*(void **)p);
}

#define AUTO_FREE CLEANUP(stoker_free_pointer)

/* Bit patterns of floats; memcpy is the only portable pun. */
static inline float float_of_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static inline uint32_t bits_of_float(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* IEEE 754 binary16, exact for every input, subnormals and NaN payloads included. */
static inline float f16_to_f32(uint16_t h)
{
#if defined(__F16C__)
	return __builtin_ia32_vcvtph2ps((__attribute__((vector_size(16))) short){ (short)h })[0];
#else
	const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
	const uint32_t exponent = (h >> 10) & 31, mantissa = h & 1023;

	if (exponent == 31)
		return float_of_bits(sign | 0x7f800000 | mantissa << 13);
	if (exponent)
		return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
	/* subnormal: mantissa * 2^-24, exact in float */
	const float magnitude = (float)mantissa * 0x1p-24f;

	return sign ? -magnitude : magnitude;
#endif
}

/* Rounds to nearest, ties to even, as the hardware conversion does. */
uint16_t f32_to_f16(float f);

static inline float bf16_to_f32(uint16_t h)
{
	return float_of_bits((uint32_t)h << 16);
}

static inline uint16_t f32_to_bf16(float f)
{
	const uint32_t bits = bits_of_float(f);

	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 64); /* keep a NaN a quiet NaN */
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline uint16_t load_u16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load_u32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store_u16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* Monotonic time in nanoseconds. */
uint64_t stoker_now_ns(void);

/* Human size with one decimal in binary units ("8.2 GiB") into @out, which it returns. */
char *stoker_human_size(uint64_t bytes, char out[16]);

#endif
