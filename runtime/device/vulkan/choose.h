/* SPDX-License-Identifier: MIT */
/* Which of the machine's Vulkan devices is taken, and how much memory it has. */
#ifndef STOKER_VULKAN_CHOOSE_H
#define STOKER_VULKAN_CHOOSE_H

#include "device/vulkan/vulkan.h"

enum { VULKAN_DEVICES_MAX = 32 }; /* of one machine, which are looked at */

/* Takes the device that @which is: empty for the best one, a number or part of a name. */
int vulkan_choose_device(struct vulkan *v, const char *which, struct stoker_error *err);
/* Of the largest heap of the device's own; false, and @left is 0: the driver doesn't say. */
bool vulkan_local_memory(VkPhysicalDevice physical, uint64_t *bytes, uint64_t *left);

#endif
