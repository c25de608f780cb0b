/* SPDX-License-Identifier: MIT */
/* The instance with its validation layer, and what results of calls mean. */
#ifndef STOKER_VULKAN_INSTANCE_H
#define STOKER_VULKAN_INSTANCE_H

#define VK_NO_PROTOTYPES
#include <volk.h>

#include "base/base.h"

struct vulkan_instance {
	VkInstance handle;
	VkDebugUtilsMessengerEXT messenger; /* NULL: nothing is validated */
	_Atomic(char *) complaint; /* the validation layer's first, by any thread, or NULL */
};

enum vulkan_validation { VALIDATE_NOTHING, VALIDATE_CALLS, VALIDATE_ADDRESSES };

/* Stays where it is while it is open, for the messenger.  On failure @i is to be closed, too. */
int vulkan_instance_open(struct vulkan_instance *i, enum vulkan_validation validation,
			 struct stoker_error *err);
void vulkan_instance_close(struct vulkan_instance *i);

/* Whether $STOKER_VULKAN has a word. */
bool vulkan_wanted(const char *word);
/* "the device was lost" */
const char *vulkan_result_name(VkResult result);
/* An errno for a failed call, with a sentence; @doing is what failed, @name whose it is. */
int vulkan_fail_named(const char *name, VkResult result, const char *doing,
		      struct stoker_error *err);

#endif
