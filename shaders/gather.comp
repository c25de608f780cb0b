/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/* dst[row][0..width) = src[ids[row]][0..width), bits as they are. */
#include "common.glsl"

PUSH(op_gather);

void main()
{
	for (uint i = thread_index(); i < p.rows * p.width; i += thread_total()) {
		const uint row = i / p.width, c = i % p.width, id = Words(p.ids).v[row];

		Words(floats(p.dst, uint64_t(row) * p.dst_stride)).v[c] =
			Words(floats(p.src, uint64_t(id) * p.src_stride)).v[c];
	}
}
