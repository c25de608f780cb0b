/* SPDX-License-Identifier: MIT */
/* One dispatch: which shader, how it is specialised, what it is given and which memory it touches.
 */
#ifndef STOKER_VULKAN_DISPATCH_H
#define STOKER_VULKAN_DISPATCH_H

#include "device/device.h"

enum { VULKAN_CONSTANTS = 6 }; /* specialisation constants of a shader */

/*
 * The shaders: an op's is called like the op, where it has one of its own, and these are the
 * others. One comes a format where a dispatch says which.
 */
#define VULKAN_SHADERS(SHADER)                                           \
	SHADER(MATVEC, matvec)                                           \
	SHADER(MATVEC_DOT, matvec_dot)                                   \
	SHADER(MATVEC_PARTS, matvec_parts)                               \
	SHADER(MATVEC_PARTS_DOT, matvec_parts_dot)                       \
	SHADER(MATVEC_EMULATED, matvec_emulated)                         \
	SHADER(MATVEC_EMULATED_PAIRS, matvec_emulated_pairs)             \
	SHADER(MATVEC_EMULATED_PARTS, matvec_emulated_parts)             \
	SHADER(MATVEC_EMULATED_PARTS_PAIRS, matvec_emulated_parts_pairs) \
	SHADER(MATVEC_EMULATED_GATED, matvec_emulated_gated)             \
	SHADER(MATVEC_EMULATED_ADDED, matvec_emulated_added)             \
	SHADER(MATMUL_TENSOR, matmul_tensor)                             \
	SHADER(QUANTIZE, quantize)                                       \
	SHADER(GROUP, group)                                             \
	SHADER(COMBINE, combine)

enum vulkan_shader {
#define VULKAN_SHADER(NAME, name) SHADER_##NAME,
#define OP(NAME, name, weights) SHADER_##NAME,
#include "device/ops.def"
	VULKAN_SHADERS(VULKAN_SHADER)
#undef VULKAN_SHADER
};

/* Memory that an op reads or writes. */
struct vulkan_span {
	stoker_address at;
	uint64_t bytes;
	bool write;
};

struct vulkan_dispatch {
	const struct stoker_shader *custom; /* the caller's instead of an embedded one, or NULL */
	enum vulkan_shader shader;
	const struct stoker_format *format; /* of shaders that come one a format */
	uint32_t threads;		    /* of a workgroup, 0: one subgroup */
	uint32_t constants[VULKAN_CONSTANTS - 2];
	uint32_t x, y, z; /* workgroups; 0 is 1 in y and z */
	const void *push;
	uint32_t push_bytes;
	const struct vulkan_span *spans;
	size_t span_count;
};

#endif
