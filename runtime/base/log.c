// SPDX-License-Identifier: MIT
/* Telling the program what isn't an error: see log.h. */
#include "base/log.h"

#include <stdarg.h>

void log_tell(const struct logger *l, enum stoker_log_level level, const char *fmt, ...)
{
	struct stoker_error said;
	va_list args;

	if (!l->tell)
		return;
	va_start(args, fmt);
	stoker_say(&said, fmt, args);
	va_end(args);
	l->tell(l->user, level, said.message);
}
