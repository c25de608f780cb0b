/* SPDX-License-Identifier: MIT */
/* The table of all ops, and the constants in device memory that they share. */
#ifndef STOKER_VULKAN_OPS_H
#define STOKER_VULKAN_OPS_H

#include "device/vulkan/vulkan.h"

int vulkan_ops_open(struct vulkan *v, struct stoker_error *err);
void vulkan_ops_close(struct vulkan *v);
extern const struct stoker_device_ops vulkan_ops;

#endif
