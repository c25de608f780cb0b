/* SPDX-License-Identifier: MIT */
/* One dispatch: which shader, how it is specialised, what it is given and which memory it touches.
 */
#ifndef STOKER_VULKAN_DISPATCH_H
#define STOKER_VULKAN_DISPATCH_H

#include "device/device.h"

enum { VULKAN_CONSTANTS = 6 }; /* specialisation constants of a shader */

enum vulkan_shader {
	SHADER_EMBED,
	SHADER_MATVEC,
	SHADER_MATVEC_DOT,
	SHADER_MATVEC_PARTS,
	SHADER_MATVEC_PARTS_DOT,
	SHADER_MATVEC_EMULATED,
	SHADER_MATVEC_EMULATED_PAIRS,
	SHADER_MATVEC_EMULATED_PARTS,
	SHADER_MATVEC_EMULATED_PARTS_PAIRS,
	SHADER_MATVEC_EMULATED_GATED,
	SHADER_MATVEC_EMULATED_ADDED,
	SHADER_MATMUL,
	SHADER_MATMUL_TENSOR,
	SHADER_QUANTIZE,
	SHADER_GROUP,
	SHADER_COMBINE,
	SHADER_NORM,
	SHADER_ROPE,
	SHADER_KV_STORE,
	SHADER_QKV,
	SHADER_ATTENTION,
	SHADER_ROUTE,
	SHADER_GLU,
	SHADER_BINARY,
	SHADER_SCALE,
	SHADER_CONV,
	SHADER_DELTA_NET,
	SHADER_COPY,
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
