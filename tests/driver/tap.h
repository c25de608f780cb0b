/* SPDX-License-Identifier: MIT */
/* Results in the Test Anything Protocol, one line a test. */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static unsigned tap_count, tap_failed;

__attribute__((format(printf, 2, 3))) static inline bool ok(bool passed, const char *format, ...)
{
	va_list arguments;

	printf("%sok %u - ", passed ? "" : "not ", ++tap_count);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
	tap_failed += !passed;
	return passed;
}

static inline void skip(const char *name, const char *why)
{
	printf("ok %u - %s # SKIP %s\n", ++tap_count, name, why);
	fflush(stdout);
}

/* A call's result, 0 or -errno, against the one that is right. */
static inline bool is(int got, int wanted, const char *name)
{
	if (got == wanted)
		return ok(true, "%s", name);
	return ok(false, "%s: %s, not %s", name, got < 0 ? strerrorname_np(-got) : "success",
		  wanted < 0 ? strerrorname_np(-wanted) : "success");
}

static inline int tap_end(void)
{
	printf("1..%u\n", tap_count);
	return tap_failed ? 1 : 0;
}

#endif
