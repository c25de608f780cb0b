/* SPDX-License-Identifier: MIT */
/* Functions of vectors, for files that are compiled once an instruction set. */
#ifndef STOKER_CPU_VECTOR_MATH_H
#define STOKER_CPU_VECTOR_MATH_H

#include "device/cpu/vectors.h"

/*
 * exp(x) = 2^n * e^r with r in [-ln2/2, ln2/2] and a degree-6 Taylor polynomial in r: relative
 * error below 2e-7.  Arguments under -87 give 0, over 88 the largest power, NaN gives NaN.
 */
INLINE vec exp_of(vec x)
{
	const vec low = splat(-87.0f), high = splat(88.0f);
	const vec magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
	const ivec tiny = x < low, nan = x != x;
	const vec given = x;
	vec n, r, p;

	x = smaller(larger(x, low), high);
	n = (x * 1.44269504f + magic) - magic;
	r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
	p = r * (1.0f / 720) + 1.0f / 120;
	p = p * r + 1.0f / 24;
	p = p * r + 1.0f / 6;
	p = p * r + 0.5f;
	p = p * r + 1.0f;
	p = p * r + 1.0f;
	const ivec exponent = (__builtin_convertvector(n, ivec) + 127) << 23;

	p *= (vec)exponent;
	return choose(nan, given, choose(tiny, (vec){ 0 }, p));
}

INLINE vec sigmoid_of(vec x)
{
	return 1.0f / (1.0f + exp_of(-x));
}

/* tanh x = (e^2x - 1) / (e^2x + 1), beyond 9 it is 1; near 0 that cancels, but a series doesn't. */
INLINE vec tanh_of(vec x)
{
	const vec e = exp_of(2 * larger(smaller(x, splat(9.0f)), splat(-9.0f))), square = x * x;
	const vec series = x - x * square * (1.0f / 3 - square * (2.0f / 15));
	const vec y = choose(square < 0.0049f, series, (e - 1) / (e + 1));

	return choose(x != x, x, y);
}

#endif
