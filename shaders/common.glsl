/* SPDX-License-Identifier: MIT */
/* What every shader begins with: memory by address, and the subgroup as the unit of work. */
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#include "../runtime/device/shared_ops.h"
#include "push_constants.h"

/* Constants 0 to 2 are the workgroup's size and the smallest subgroup that the device may use. */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUP_MIN = 4;

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Vectors { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Places { row_place v[]; };

/*
 * The place of one of @rows rows.  Compilers read it, and what it points at, before it is known
 * whether there is such a row: then it's the last one's.
 */
row_place place_of(uint64_t places, uint row, uint rows)
{
	return Places(places).v[min(row, rows - 1)];
}
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Addresses { uint64_t v[]; };

#define PUSH(type) layout(push_constant) uniform Push { type p; }

/* Subgroups are numbered over the whole dispatch along x. */
uint subgroup_index()
{
	return gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID;
}

uint subgroup_total()
{
	return gl_NumWorkGroups.x * gl_NumSubgroups;
}

uint thread_index()
{
	return gl_GlobalInvocationID.x;
}

uint thread_total()
{
	return gl_NumWorkGroups.x * gl_WorkGroupSize.x;
}

/* The address of float @n behind @at. */
uint64_t floats(uint64_t at, uint64_t n)
{
	return at + 4ul * n;
}

#define INFINITY uintBitsToFloat(0x7f800000u)

bool is_nan(float x)
{
	return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u;
}

bool is_finite(float x)
{
	return (floatBitsToUint(x) & 0x7f800000u) != 0x7f800000u;
}

float sigmoid(float x)
{
	return 1.0 / (1.0 + exp(-x));
}
