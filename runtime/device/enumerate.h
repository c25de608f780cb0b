/* SPDX-License-Identifier: MIT */
/* Finding what computes: the parts that stoker_device_list() puts together. */
#ifndef STOKER_DEVICE_ENUMERATE_H
#define STOKER_DEVICE_ENUMERATE_H

#include "base/base.h"
#include "stoker/device.h"

enum { STOKER_DEVICES_MAX = 64 };

/* A list that is full takes no more. */
struct device_list {
	struct stoker_device_info *info;
	size_t count;
	/* the node's device number, to tell that two entries are one: major << 32 | minor, or 0 */
	uint64_t number[STOKER_DEVICES_MAX];
};

/* A new entry of zeros, or NULL. */
struct stoker_device_info *device_list_add(struct device_list *list);

/* All Vulkan devices, with nodes' numbers and bus where the driver tells. */
void stoker_vulkan_list(struct device_list *list);

/*
 * Completes entries that have a node and adds those nodes that no entry has: GPUs as libdrm finds
 * them, and accelerators below @accel ("/sys/class/accel"), which it doesn't list.
 */
void stoker_drm_list(struct device_list *list, const char *accel);

#endif
