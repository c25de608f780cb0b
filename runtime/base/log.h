/* SPDX-License-Identifier: MIT */
/* Telling the program what isn't an error: see stoker/log.h. */
#ifndef STOKER_BASE_LOG_H
#define STOKER_BASE_LOG_H

#include "base/base.h"
#include "stoker/log.h"

/* Who is told; zeros: nobody. */
struct logger {
	stoker_log tell;
	void *user;
};

/* As stoker_fail() writes its sentence. */
void log_tell(const struct logger *l, enum stoker_log_level level, const char *fmt, ...)
	PRINTF(3, 4);

#endif
