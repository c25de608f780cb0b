/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/*
 * RMS: x / sqrt(mean x^2 + eps) * weight; L2: x / max(|x|, eps).  A subgroup a group of a row.
 * With an operand to add, x is src + scale * add, and src becomes that.  With a Q8_KIND the result's
 * 8-bit codes are made, too, of rows that are one group; lanes then take 32 values at a time.
 */
#include "common.glsl"
#include "quantize.glsl"

PUSH(push_norm);

const uint CHUNK = Q8_KIND != Q8_NONE ? 32 : 1;

void main()
{
	for (uint i = subgroup_index(); i < p.rows * p.groups; i += subgroup_total()) {
		const uint row = i / p.groups, first = i % p.groups * p.width;
		Floats src = Floats(floats(p.src, uint64_t(row) * p.src_stride + first));
		Floats more = Floats(floats(p.add, uint64_t(row) * p.add_stride + first));
		Floats dst = Floats(floats(p.dst, uint64_t(row) * p.dst_stride + first));
		const uint chunks = p.width / CHUNK;
		float square = 0.0;

		for (uint c = gl_SubgroupInvocationID; c < chunks; c += gl_SubgroupSize)
			[[unroll]] for (uint k = 0; k < CHUNK; k++) {
				float x = src.v[CHUNK * c + k];

				if (p.has_add != 0) {
					x += p.add_scale * more.v[CHUNK * c + k];
					src.v[CHUNK * c + k] = x;
				}
				square += x * x;
			}
		square = subgroupAdd(square);
		const float s = p.l2 != 0 ? 1.0 / max(sqrt(square), p.eps)
					  : 1.0 / sqrt(square / float(p.width) + p.eps);

		/* each lane reads what it has written itself */
		for (uint c = gl_SubgroupInvocationID; c < chunks; c += gl_SubgroupSize) {
			float y[CHUNK];

			[[unroll]] for (uint k = 0; k < CHUNK; k++) {
				const uint at = CHUNK * c + k;

				y[k] = src.v[at] * s * Floats(p.weight).v[p.has_weight * at];
				dst.v[at] = y[k];
			}
			if (Q8_KIND != Q8_NONE) {
				vec4 x[8];

				[[unroll]] for (uint k = 0; k < 8; k++)
					x[k] = vec4(y[4 * k % CHUNK], y[(4 * k + 1) % CHUNK],
						    y[(4 * k + 2) % CHUNK], y[(4 * k + 3) % CHUNK]);
				store_q8(q8_of(p.codes, row * chunks + c), x);
			}
		}
	}
}
