/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
/* Rows of floats to the cache: F32, F16 or Q8_0; a thread stores 2 or 32 values. */
#include "common.glsl"
#include "kv.glsl"

PUSH(push_kv_store);

layout(buffer_reference, std430, buffer_reference_align = 2) writeonly buffer Shorts { uint16_t v[]; };

void main()
{
	const uint chunk = KV_FORMAT == KV_Q8_0 ? 32 : 2;
	const uint chunks = (p.width + chunk - 1) / chunk;

	for (uint i = thread_index(); i < p.rows * p.heads * chunks; i += thread_total()) {
		const uint row = i / chunks / p.heads, head = i / chunks % p.heads;
		const uint c = i % chunks * chunk;
		Floats src = Floats(floats(p.src, uint64_t(row) * p.stride + head * p.width + c));
		const row_place place = place_of(p.places, row, p.rows);
		const uint64_t dst = cache_row(place.pages, p.cache, head, kv_row_bytes(KV_FORMAT, p.width),
					       place.position);

		if (KV_FORMAT == KV_F32) {
			Floats to = Floats(floats(dst, c));

			to.v[0] = src.v[0];
			if (c + 1 < p.width)
				to.v[1] = src.v[1];
		} else if (KV_FORMAT == KV_F16) {
			Shorts to = Shorts(dst + 2 * c);

			to.v[0] = uint16_t(half_bits(src.v[0]));
			if (c + 1 < p.width)
				to.v[1] = uint16_t(half_bits(src.v[1]));
		} else {
			Shorts to = Shorts(dst + c / 32 * 34);
			float most = 0.0;

			for (uint k = 0; k < min(p.width - c, 32u); k++)
				most = max(most, abs(src.v[k]));
			const float d = most / 127.0, inverse = d > 0.0 ? 1.0 / d : 0.0;

			to.v[0] = uint16_t(half_bits(d));
			for (uint k = 0; k < 16; k++) {
				const uint at = 2 * k, rest = p.width - c;
				const int a = at < rest ? round_away(src.v[at] * inverse) : 0;
				const int b = at + 1 < rest ? round_away(src.v[at + 1] * inverse) : 0;

				to.v[1 + k] = uint16_t((a & 255) | (b & 255) << 8);
			}
		}
	}
}
