// SPDX-License-Identifier: MIT
/* What a model's file says about how its tokens' states become one vector. */
#include "pooling.h"

#include <stdio.h>

enum stoker_pooling file_pooling(const struct stoker_gguf *gguf)
{
	static const enum stoker_pooling known[] = {
		[1] = STOKER_POOLING_MEAN, [2] = STOKER_POOLING_CLS, [3] = STOKER_POOLING_LAST
	};
	const struct stoker_gguf_key *key = stoker_gguf_find(gguf, "general.architecture");
	struct stoker_string architecture;
	uint64_t type;
	char name[128];

	if (!key || stoker_gguf_string(gguf, key, &architecture))
		return STOKER_POOLING_MEAN;
	snprintf(name, sizeof(name), "%.*s.pooling_type", (int)architecture.length,
		 architecture.data);
	key = stoker_gguf_find(gguf, name);
	if (key && !stoker_gguf_u64(gguf, key, 0, &type) && type &&
	    type < sizeof(known) / sizeof(*known))
		return known[type];
	return STOKER_POOLING_MEAN;
}
