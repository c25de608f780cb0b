/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* RMS: x / sqrt(mean x^2 + eps) * weight; L2: x / max(|x|, eps).  A subgroup a group of a row. */
#include "common.glsl"

PUSH(push_norm);

void main()
{
	for (uint i = subgroup_index(); i < p.rows * p.groups; i += subgroup_total()) {
		const uint row = i / p.groups, first = i % p.groups * p.width;
		Floats src = Floats(floats(p.src, uint64_t(row) * p.src_stride + first));
		Floats dst = Floats(floats(p.dst, uint64_t(row) * p.dst_stride + first));
		float square = 0.0;

		for (uint c = gl_SubgroupInvocationID; c < p.width; c += gl_SubgroupSize)
			square += src.v[c] * src.v[c];
		square = subgroupAdd(square);
		const float s = p.l2 != 0 ? 1.0 / max(sqrt(square), p.eps)
					  : 1.0 / sqrt(square / float(p.width) + p.eps);

		for (uint c = gl_SubgroupInvocationID; c < p.width; c += gl_SubgroupSize)
			dst.v[c] = src.v[c] * s * Floats(p.weight).v[p.has_weight * c];
	}
}
