/* SPDX-License-Identifier: MIT */
/* What a model's file says, and whether it runs on this machine. */
#ifndef STOKER_TOOL_OUTLOOK_H
#define STOKER_TOOL_OUTLOOK_H

#include "tool.h"

struct outlook {
	char architecture[64], format[32]; /* "" where the file says nothing */
	bool runs, paged;
	double rate;		 /* tokens/s by what "stoker plan" measured; 0: it didn't */
	struct stoker_error why; /* it doesn't run */
};

/* As "stoker info FILE" has it. */
void outlook_of(struct stoker_device *device, const char *path, struct outlook *o);
/* What the machine, or a memory cgroup, has left for models; 0: it isn't known. */
uint64_t available_memory(void);

#endif
