// SPDX-License-Identifier: MIT
/* Sizes of memory as the user says them. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

uint64_t parse_size(const char *text)
{
	static const char units[] = "kmgt";
	char *end;
	double value = strtod(text, &end);
	const char *unit;

	/* nor a sign, hexadecimal digits, "inf" */
	if (end == text || strspn(text, "0123456789.") < (size_t)(end - text) || !(value > 0))
		return 0;
	end += *end == ' ';
	unit = *end ? strchr(units, *end | 32) : NULL;
	if (unit) {
		for (const char *u = units; u <= unit; u++)
			value *= 1024;
		end++;
	}
	if ((unit && !strcasecmp(end, "iB")) || !strcasecmp(end, "B"))
		end += strlen(end);
	return *end || value >= 1e18 ? 0 : (uint64_t)value;
}

int memory_budget(const struct compute_options *c, uint64_t *budget)
{
	*budget = STOKER_MEMORY_AUTO;
	if (c->host_memory && !parse_size(c->host_memory))
		return failf("no size \"%s\"; " SIZES, c->host_memory);
	if (!c->memory)
		return EXIT_OK;
	if (!strcasecmp(c->memory, "max")) {
		*budget = STOKER_MEMORY_MAX;
		return EXIT_OK;
	}
	if (!strcasecmp(c->memory, "min")) {
		*budget = STOKER_MEMORY_MIN;
		return EXIT_OK;
	}
	*budget = parse_size(c->memory);
	return *budget > STOKER_MEMORY_MIN
		       ? EXIT_OK
		       : failf("no size \"%s\"; " SIZES ", min, max", c->memory);
}
