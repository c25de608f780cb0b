/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* dst[row][0..width) = src[row][0..width), bits as they are. */
#include "common.glsl"

PUSH(op_copy);

void main()
{
	for (uint i = thread_index(); i < p.rows * p.width; i += thread_total()) {
		const uint row = i / p.width, c = i % p.width;

		Words(floats(p.dst, uint64_t(row) * p.dst_stride)).v[c] =
			Words(floats(p.src, uint64_t(row) * p.src_stride)).v[c];
	}
}
