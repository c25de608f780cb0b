// SPDX-License-Identifier: MIT
/* Errors, half floats, medians, time and sizes: see base.h. */
#include "base/base.h"

#include <stdio.h>
#include <time.h>

/* Where the last whole character of a text ends that was cut somewhere. */
static size_t whole_end(const char *text)
{
	const size_t end = strlen(text);
	size_t lead = end;

	while (lead && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (!lead || (unsigned char)text[lead - 1] < 0xc0)
		return end;
	const unsigned char first = (unsigned char)text[lead - 1];

	return end - lead < (first < 0xe0 ? 1u : first < 0xf0 ? 2u : 3u) ? lead - 1 : end;
}

void stoker_say(struct stoker_error *err, const char *fmt, va_list args)
{
	char text[sizeof(err->message)];
	const locale_t before = c_locale_enter();
	const int length = vsnprintf(text, sizeof(text), fmt, args);

	c_locale_leave(before);
	*err = (struct stoker_error){ .needed = 0 };
	stoker_escape(err->message, sizeof(err->message), text,
		      length < (int)sizeof(text) ? strlen(text) : whole_end(text));
}

int stoker_fall_short(struct stoker_error *err, uint64_t needed, uint64_t available)
{
	if (err) {
		err->needed = needed;
		err->available = available;
	}
	return -ENOMEM;
}

int stoker_fail(struct stoker_error *err, int code, const char *fmt, ...)
{
	va_list args;

	if (err) {
		va_start(args, fmt);
		stoker_say(err, fmt, args);
		va_end(args);
	}
	return code;
}

uint16_t f32_to_f16(float f)
{
	const uint32_t bits = bits_of_float(f), sign = bits >> 16 & 0x8000;
	const uint32_t magnitude = bits & 0x7fffffff;

	if (magnitude > 0x7f800000)
		return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
	if (magnitude >= 0x477ff000) /* 65520 and above round to infinity */
		return (uint16_t)(sign | 0x7c00);
	if (magnitude < 0x38800000) { /* below 2^-14: let the FPU round the subnormal */
		const float shifted = float_of_bits(magnitude) + 0.5f;

		return (uint16_t)(sign | (bits_of_float(shifted) - 0x3f000000));
	}
	return (uint16_t)(sign | (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double stoker_median(double *numbers, size_t count)
{
	qsort(numbers, count, sizeof(*numbers), by_size);
	return numbers[count / 2];
}

uint64_t stoker_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

char *stoker_human_size(uint64_t bytes, char out[16])
{
	static const char unit[][4] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	const locale_t before = c_locale_enter();
	double value = (double)bytes;
	unsigned u = 0;

	while (value >= 1024 && u + 1 < ARRAY_SIZE(unit)) {
		value /= 1024;
		u++;
	}
	snprintf(out, 16, u ? "%.1f %s" : "%.0f %s", value, unit[u]);
	c_locale_leave(before);
	return out;
}
