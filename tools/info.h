/* SPDX-License-Identifier: MIT */
/* stoker info: of a model. */
#ifndef STOKER_TOOL_INFO_H
#define STOKER_TOOL_INFO_H

#include "tool.h"

struct info_options {
	struct compute_options compute;
	const char *model;
	struct kv_options kv;
	uint64_t context;
	bool json;
};

/* What is known of the model without reading its weights, and whether it runs here. */
int info_model(const struct info_options *options);

#endif
