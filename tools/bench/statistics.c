// SPDX-License-Identifier: MIT
/*
 * What a driver's compiler makes of the shaders: registers, spills, subgroups at a time, where it
 * says so (VK_KHR_pipeline_executable_properties).  Nothing runs, so it works for GPUs that aren't
 * there, too, with drivers that compile for them (RADV_FORCE_FAMILY).
 */
#include "device/vulkan/record.h"
#include "bench/measure.h"

enum { MOST = 64 };

struct listing {
	struct vulkan *v;
	measure_statistic_fn *fn;
	void *context;
};

static double value_of(const VkPipelineExecutableStatisticKHR *s)
{
	switch (s->format) {
	case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
		return s->value.b32;
	case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
		return (double)s->value.i64;
	case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
		return (double)s->value.u64;
	default:
		return s->value.f64;
	}
}

static int list_pipeline(const struct listing *l, struct vulkan_dispatch d,
			 struct stoker_error *err)
{
	VkPipelineExecutableStatisticKHR statistics[MOST];
	VkPipelineExecutableInfoKHR executable = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
	};
	struct vulkan *v = l->v;
	uint32_t count = MOST;
	VkResult result;
	int ret;

	ret = vulkan_pipeline(v, &d, &executable.pipeline, err);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < MOST; i++)
		statistics[i] = (VkPipelineExecutableStatisticKHR){
			.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR,
		};
	result = v->vk.vkGetPipelineExecutableStatisticsKHR(v->device, &executable, &count,
							    statistics);
	if (result < 0)
		return vulkan_fail(v, result, "asking for statistics", err);
	l->fn(l->context, vulkan_shader_name(d.shader), d.format ? d.format->name : "", "Threads",
	      d.threads ? d.threads : v->subgroup_size);
	for (uint32_t i = 0; i < count; i++)
		l->fn(l->context, vulkan_shader_name(d.shader), d.format ? d.format->name : "",
		      statistics[i].name, value_of(&statistics[i]));
	return 0;
}

static int list_products(const struct listing *l, const struct stoker_format *f,
			 struct stoker_error *err)
{
	const struct stoker_weight large = { .format = f, .in = 4096, .out = 4096, .count = 1 };
	const bool coded = vulkan_takes_q8(&l->v->base, &large);
	int ret = list_pipeline(l, vulkan_matvec_kernel(l->v, f, false), err);

	if (!ret && coded)
		ret = list_pipeline(l, vulkan_matvec_kernel(l->v, f, true), err);
	return ret ? ret : list_pipeline(l, vulkan_matmul_kernel(l->v, &large), err);
}

int measure_shaders(const char *device, measure_statistic_fn *fn, void *context,
		    struct stoker_error *err)
{
	struct listing l = { .fn = fn, .context = context };
	int ret = vulkan_open_compiler(device, &l.v, err);

	if (ret)
		return ret;
	const uint32_t lone = threads(l.v);
	const struct vulkan_dispatch others[] = {
		{ .shader = SHADER_QUANTIZE,
		  .threads = lone,
		  .constants = { vulkan_q8_kind(l.v) } },
		{ .shader = SHADER_NORM, .constants = { vulkan_q8_kind(l.v) } },
		{ .shader = SHADER_QKV, .constants = { STOKER_KV_F16 } },
		{ .shader = SHADER_ATTENTION,
		  .constants = { STOKER_KV_F16 | STOKER_KV_F16 << 4, 128, 128,
				 vulkan_q8_kind(l.v) } },
		{ .shader = SHADER_ROUTE, .constants = { 128 } },
		{ .shader = SHADER_COMBINE, .threads = lone },
		{ .shader = SHADER_GLU, .threads = lone },
		{ .shader = SHADER_BINARY, .threads = lone },
		{ .shader = SHADER_ROPE, .threads = lone },
		{ .shader = SHADER_KV_STORE, .threads = lone, .constants = { STOKER_KV_F16 } },
	};

	for (const struct stoker_format *f = NULL; !ret && (f = stoker_format_next(f));)
		ret = list_products(&l, f, err);
	for (size_t i = 0; i < ARRAY_SIZE(others) && !ret; i++)
		ret = list_pipeline(&l, others[i], err);
	vulkan_close(&l.v->base);
	return ret;
}
