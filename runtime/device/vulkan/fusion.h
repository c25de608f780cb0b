/* SPDX-License-Identifier: MIT */
/* What was put off, since the next op may go with it. */
#ifndef STOKER_VULKAN_FUSION_H
#define STOKER_VULKAN_FUSION_H

#include "device/vulkan/vulkan.h"

/* Records the product and the sum that were put off. */
void vulkan_catch_up(struct vulkan *v);
/* And the norm, if it was and spans touch what it reads or writes. */
void vulkan_settle(struct vulkan *v, const struct vulkan_span *spans, size_t count);
void vulkan_settle_all(struct vulkan *v);

#endif
