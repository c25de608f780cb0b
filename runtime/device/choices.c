// SPDX-License-Identifier: MIT
/* Sorting what a router chose by expert, for whoever computes an expert for all of its rows. */
#include "device/device.h"

uint32_t stoker_sort_choices(const uint32_t *ids, uint32_t count, uint32_t experts,
			     uint32_t *entries, struct chosen_expert *chosen)
{
	uint32_t at = 0, active = 0;

	for (uint32_t e = 0; e < experts; e++)
		chosen[e] = (struct chosen_expert){ .expert = e };
	for (uint32_t i = 0; i < count; i++)
		chosen[ids[i]].count++;
	for (uint32_t e = 0; e < experts; e++) {
		chosen[e].first = at;
		at += chosen[e].count;
		chosen[e].count = 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct chosen_expert *c = &chosen[ids[i]];

		entries[c->first + c->count++] = i;
	}
	for (uint32_t e = 0; e < experts; e++)
		if (chosen[e].count)
			chosen[active++] = chosen[e];
	return active;
}
