// SPDX-License-Identifier: MIT
/* The version, and memory that public calls give. */
#include "stoker/version.h"

#include <stdlib.h>

uint32_t stoker_api_version(void)
{
	return STOKER_API_VERSION;
}

const char *stoker_version(void)
{
	return STOKER_VERSION;
}

void stoker_free(void *p)
{
	free(p);
}
