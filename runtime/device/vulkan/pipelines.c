// SPDX-License-Identifier: MIT
/*
 * Pipelines: the embedded shaders, specialised when an op first needs them.  Vulkan's pipeline
 * cache is kept in the user's cache folder, in a file a device and driver version.
 */
#include "device/vulkan/pipelines.h"

#include <stdio.h>

#include "base/cache.h"

enum {
	CACHE_LIMIT = 64 << 20,
	PUSH_BYTES = 128, /* Vulkan 1.2, Required Limits: the least maxPushConstantsSize */
};

struct pipeline {
	const struct stoker_shader *custom;
	enum vulkan_shader shader;
	const struct stoker_format *format;
	uint32_t constants[VULKAN_CONSTANTS];
	VkPipeline handle;
};

/* Guarded by vulkan.lock, which is held while dispatches are recorded. */
struct vulkan_pipelines {
	VkPipelineLayout layout;
	VkPipelineCache cache;
	char *cache_path;   /* NULL: it isn't kept */
	size_t cache_bytes; /* as it was in the beginning */
	struct pipeline *made;
	size_t count, room;
};

static const char *const shader_names[] = {
#define SHADER_NAME(NAME, name) [SHADER_##NAME] = #name,
#define OP(NAME, name, weights) [SHADER_##NAME] = #name,
#include "device/ops.def"
	VULKAN_SHADERS(SHADER_NAME)
#undef SHADER_NAME
};

void vulkan_keep(const struct vulkan *v, const char *path, const void *data, size_t bytes)
{
	struct stoker_error why = { "" };

	if (path && stoker_cache_write(path, data, bytes, &why))
		log_tell(&v->base.settings.log, STOKER_LOG_WARNING,
			 "%s: what would make the next start faster isn't kept: %s", v->name,
			 why.message);
}

static char *path_of(const struct vulkan *v, const VkPhysicalDeviceProperties *p)
{
	char name[64];

	snprintf(name, sizeof(name), "vulkan-%04x-%04x-%08x.bin", p->vendorID, p->deviceID,
		 p->driverVersion);
	return cache_path(v->base.settings.cache_folder, name);
}

static VkResult create_cache(struct vulkan *v, const void *data, size_t bytes)
{
	const VkPipelineCacheCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
		.initialDataSize = bytes,
		.pInitialData = data,
	};

	return v->vk.vkCreatePipelineCache(v->device, &info, NULL, &v->pipelines->cache);
}

int vulkan_pipelines_open(struct vulkan *v, const VkPhysicalDeviceProperties *properties,
			  struct stoker_error *err)
{
	const VkPushConstantRange push = {
		.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
		.size = PUSH_BYTES,
	};
	const VkPipelineLayoutCreateInfo layout = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &push,
	};
	struct vulkan_pipelines *own = calloc(1, sizeof(*own));
	AUTO_FREE void *data = NULL;
	size_t bytes;
	VkResult result;

	v->pipelines = own;
	if (!own)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", v->name);
	result = v->vk.vkCreatePipelineLayout(v->device, &layout, NULL, &own->layout);
	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, "creating a pipeline layout", err);
	if (v->use_cache)
		own->cache_path = path_of(v, properties);
	/*
	 * VUID-VkPipelineCacheCreateInfo-initialDataSize-00769: "pInitialData must have been
	 * retrieved from a previous call to vkGetPipelineCacheData"
	 */
	data = stoker_cache_read(own->cache_path, CACHE_LIMIT, &bytes);
	result = create_cache(v, data, bytes);
	if (result != VK_SUCCESS && bytes) {
		log_tell(&v->base.settings.log, STOKER_LOG_WARNING,
			 "%s: its driver refuses the pipelines in %s; they are made anew", v->name,
			 own->cache_path);
		result = create_cache(v, NULL, 0);
	}
	if (result != VK_SUCCESS)
		return vulkan_fail(v, result, "creating a pipeline cache", err);
	/* what the driver took of the file: one of another version counts for nothing */
	if (v->vk.vkGetPipelineCacheData(v->device, own->cache, &own->cache_bytes, NULL))
		own->cache_bytes = 0;
	return 0;
}

static void save_cache(struct vulkan *v)
{
	const struct vulkan_pipelines *own = v->pipelines;
	AUTO_FREE void *data = NULL;
	size_t bytes = 0;

	if (!own->cache_path || !own->cache ||
	    v->vk.vkGetPipelineCacheData(v->device, own->cache, &bytes, NULL) ||
	    bytes <= own->cache_bytes || bytes > CACHE_LIMIT)
		return;
	data = malloc(bytes);
	if (data && !v->vk.vkGetPipelineCacheData(v->device, own->cache, &bytes, data))
		vulkan_keep(v, own->cache_path, data, bytes);
}

void vulkan_pipelines_close(struct vulkan *v)
{
	struct vulkan_pipelines *own = v->pipelines;

	if (!own)
		return;
	save_cache(v);
	for (size_t i = 0; i < own->count; i++)
		v->vk.vkDestroyPipeline(v->device, own->made[i].handle, NULL);
	free(own->made);
	free(own->cache_path);
	if (own->cache)
		v->vk.vkDestroyPipelineCache(v->device, own->cache, NULL);
	if (own->layout)
		v->vk.vkDestroyPipelineLayout(v->device, own->layout, NULL);
	free(own);
}

VkPipelineLayout vulkan_pipeline_layout(const struct vulkan *v)
{
	return v->pipelines->layout;
}

static const struct stoker_shader *find_shader(const char *name)
{
	for (size_t i = 0; i < stoker_shader_count; i++)
		if (!strcmp(stoker_shaders[i].name, name))
			return &stoker_shaders[i];
	return NULL;
}

static void full_name(enum vulkan_shader shader, const struct stoker_format *format, char name[64])
{
	snprintf(name, 64, "%s%s%s", shader_names[shader], format ? "." : "",
		 format ? format->name : "");
}

const char *vulkan_shader_name(enum vulkan_shader shader)
{
	return shader_names[shader];
}

bool vulkan_has_shader(enum vulkan_shader shader, const struct stoker_format *format)
{
	char name[64];

	full_name(shader, format, name);
	return find_shader(name) != NULL;
}

static VkResult create(struct vulkan *v, const struct stoker_shader *shader, struct pipeline *p)
{
	const VkShaderModuleCreateInfo code = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = shader->bytes,
		.pCode = shader->words,
	};
	VkSpecializationMapEntry entries[VULKAN_CONSTANTS];
	const VkSpecializationInfo constants = {
		.mapEntryCount = VULKAN_CONSTANTS,
		.pMapEntries = entries,
		.dataSize = sizeof(p->constants),
		.pData = p->constants,
	};
	const VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT size = {
		.sType =
			VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO_EXT,
		.requiredSubgroupSize = v->subgroup_size,
	};
	VkComputePipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			   .pNext = v->pinned_size ? &size : NULL,
			   .flags =
				   v->has_control
					   ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT
					   : 0,
			   .stage = VK_SHADER_STAGE_COMPUTE_BIT,
			   .pName = "main",
			   .pSpecializationInfo = &constants },
		.flags = v->statistics ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0,
		.layout = v->pipelines->layout,
	};
	VkResult result = v->vk.vkCreateShaderModule(v->device, &code, NULL, &info.stage.module);

	if (result != VK_SUCCESS)
		return result;
	for (uint32_t i = 0; i < VULKAN_CONSTANTS; i++)
		entries[i] =
			(VkSpecializationMapEntry){ .constantID = i, .offset = i * 4, .size = 4 };
	result = v->vk.vkCreateComputePipelines(v->device, v->pipelines->cache, 1, &info, NULL,
						&p->handle);
	/* it "can be destroyed while pipelines created using its shaders are still in use" */
	v->vk.vkDestroyShaderModule(v->device, info.stage.module, NULL);
	if (result == VK_SUCCESS)
		vulkan_set_name(v, VK_OBJECT_TYPE_PIPELINE, (uint64_t)(uintptr_t)p->handle,
				shader->name);
	return result;
}

static bool same(const struct pipeline *a, const struct pipeline *b)
{
	return a->custom == b->custom && a->shader == b->shader && a->format == b->format &&
	       !memcmp(a->constants, b->constants, sizeof(a->constants));
}

int vulkan_pipeline(struct vulkan *v, const struct vulkan_dispatch *d, VkPipeline *pipeline,
		    struct stoker_error *err)
{
	struct vulkan_pipelines *own = v->pipelines;
	struct pipeline p = { .custom = d->custom, .shader = d->shader, .format = d->format };
	const struct stoker_shader *shader;
	char name[64], doing[96];
	VkResult result;

	/* VUID-VkPipelineShaderStageCreateInfo-pNext-02757: "a multiple of" the subgroup's size */
	p.constants[0] = d->threads ? d->threads : v->subgroup_size;
	p.constants[1] = v->subgroup_min;
	memcpy(p.constants + 2, d->constants, sizeof(d->constants));
	for (size_t i = 0; i < own->count; i++)
		if (same(&own->made[i], &p)) {
			*pipeline = own->made[i].handle;
			return 0;
		}
	if (d->custom)
		snprintf(name, sizeof(name), "%s", d->custom->name);
	else
		full_name(d->shader, d->format, name);
	shader = d->custom ? d->custom : find_shader(name);
	if (!shader)
		return stoker_fail(err, -ENOTSUP, "%s: there is no shader %s", v->name, name);
	if (own->count == own->room) {
		const size_t room = MAX(2 * own->room, (size_t)64);
		struct pipeline *more = realloc(own->made, room * sizeof(*more));

		if (!more)
			return stoker_fail(err, -ENOMEM, "%s: out of memory", v->name);
		own->made = more;
		own->room = room;
	}
	result = create(v, shader, &p);
	if (result != VK_SUCCESS) {
		snprintf(doing, sizeof(doing), "compiling the shader %s", name);
		return vulkan_fail(v, result, doing, err);
	}
	own->made[own->count++] = p;
	*pipeline = p.handle;
	return 0;
}
