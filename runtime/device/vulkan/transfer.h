/* SPDX-License-Identifier: MIT */
/* The host's reads and writes of the device's memory. */
#ifndef STOKER_VULKAN_TRANSFER_H
#define STOKER_VULKAN_TRANSFER_H

#include "device/vulkan/vulkan.h"

int vulkan_transfers_open(struct vulkan *v, struct stoker_error *err);
void vulkan_transfers_close(struct vulkan *v);
int vulkan_write(struct stoker_device *d, stoker_address dst, const void *src, uint64_t bytes,
		 struct stoker_error *err);
int vulkan_read(struct stoker_device *d, void *dst, stoker_address src, uint64_t bytes,
		struct stoker_error *err);

#endif
