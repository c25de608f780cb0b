/* SPDX-License-Identifier: MIT */
/* Device memory for what passes between the dispatches of an op. */
#ifndef STOKER_VULKAN_SCRATCH_H
#define STOKER_VULKAN_SCRATCH_H

#include "device/vulkan/vulkan.h"

/* Each is a piece of memory of its own. */
enum vulkan_scratch { SCRATCH_EXPERTS, SCRATCH_Q8, SCRATCH_TABLES, SCRATCHES };

int vulkan_scratch_open(struct vulkan *v, struct stoker_error *err);
void vulkan_scratch_close(struct vulkan *v);
/*
 * At least @bytes of it, while ops are recorded; valid until the next call for more.  0 when there
 * is no memory, which fails what is recorded.
 */
stoker_address vulkan_scratch(struct vulkan *v, enum vulkan_scratch which, uint64_t bytes);
/* The same before anything is recorded, so that it doesn't have to grow while something is. */
int vulkan_scratch_reserve(struct vulkan *v, enum vulkan_scratch which, uint64_t bytes,
			   struct stoker_error *err);

#endif
