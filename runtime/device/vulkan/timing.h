/* SPDX-License-Identifier: MIT */
/* What the dispatches of a command buffer take, while the device is profiled. */
#ifndef STOKER_VULKAN_TIMING_H
#define STOKER_VULKAN_TIMING_H

#include "device/vulkan/vulkan.h"

struct vulkan_timing;

/* Where @buffer begins; @t is made on first use, and freed when the device isn't profiled. */
int vulkan_timing_begin(struct vulkan *v, struct vulkan_timing **t, VkCommandBuffer buffer,
			struct stoker_error *err);
/* After each of its dispatches; @t may be NULL here and in the next two. */
void vulkan_timing_add(struct vulkan *v, struct vulkan_timing *t, const char *name,
		       const char *detail);
/* Where it ends. */
void vulkan_timing_close(struct vulkan *v, struct vulkan_timing *t);
/* Adds them to the profile, when it has just run. */
void vulkan_timing_take(struct vulkan *v, struct vulkan_timing *t);
void vulkan_timing_free(struct vulkan *v, struct vulkan_timing **t);
int vulkan_profile(struct stoker_device *d, struct stoker_profile *profile,
		   struct stoker_error *err);

#endif
