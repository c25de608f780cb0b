/* SPDX-License-Identifier: MIT */
/* Which variants of products are the fastest on this device: measured, and kept on disk. */
#ifndef STOKER_VULKAN_TUNING_H
#define STOKER_VULKAN_TUNING_H

#include "device/vulkan/vulkan.h"

/* Products with one row of floats, or of 8-bit codes, and with many rows. */
enum vulkan_matmul_kind { MATMUL_FLOATS, MATMUL_Q8, MATMUL_MANY, MATMUL_KINDS };

int vulkan_tuning_open(struct vulkan *v, const VkPhysicalDeviceProperties *properties,
		       struct stoker_error *err);
/* Saves what was measured. */
void vulkan_tuning_close(struct vulkan *v);
/* Where it is kept; NULL: variants aren't measured. */
const char *vulkan_tuning_path(const struct vulkan *v);
/* Whether something was measured that isn't there yet. */
bool vulkan_tuning_is_new(const struct vulkan *v);

/* Measures variants of products with weights like @like, whose address doesn't matter. */
void vulkan_tune(struct stoker_device *d, const struct stoker_weight *like);
/* Rows of weights that a subgroup or a lane takes; 0: not measured. */
uint32_t vulkan_variant(const struct vulkan *v, const struct stoker_format *format,
			enum vulkan_matmul_kind kind);
void vulkan_set_variant(struct vulkan *v, const struct stoker_format *format,
			enum vulkan_matmul_kind kind, uint32_t variant);

#endif
