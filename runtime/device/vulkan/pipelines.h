/* SPDX-License-Identifier: MIT */
/* The shaders that the build embeds, specialised when a dispatch first needs them. */
#ifndef STOKER_VULKAN_PIPELINES_H
#define STOKER_VULKAN_PIPELINES_H

#include "device/vulkan/dispatch.h"
#include "device/vulkan/vulkan.h"

/* See shaders/embed.sh. */
struct stoker_shader {
	const char *name; /* "norm", or "matvec.Q4_0" */
	const uint32_t *words;
	size_t bytes;
};

extern const struct stoker_shader stoker_shaders[];
extern const size_t stoker_shader_count;

int vulkan_pipelines_open(struct vulkan *v, const VkPhysicalDeviceProperties *properties,
			  struct stoker_error *err);
void vulkan_pipelines_close(struct vulkan *v);
/* Of all pipelines: nothing but push constants. */
VkPipelineLayout vulkan_pipeline_layout(const struct vulkan *v);
int vulkan_pipeline(struct vulkan *v, const struct vulkan_dispatch *d, VkPipeline *pipeline,
		    struct stoker_error *err);

/* Writes a file of the cache folder; a failure is told. */
void vulkan_keep(const struct vulkan *v, const char *path, const void *data, size_t bytes);

bool vulkan_has_shader(enum vulkan_shader shader, const struct stoker_format *format);
const char *vulkan_shader_name(enum vulkan_shader shader);

#endif
