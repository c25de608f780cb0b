/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
/*
 * Queries, keys and values of a row, on their way from the products to attention: heads of queries
 * and keys are normed and turned, keys and values go to the cache.  A subgroup takes a head; its lanes
 * take pairs of values.
 */
#include "common.glsl"
#include "kv.glsl"
#include "sincos.glsl"

PUSH(push_qkv);

layout(buffer_reference, std430, buffer_reference_align = 2) writeonly buffer Shorts { uint16_t v[]; };

/* Value @c of a cache row that begins at @row. */
void store(uint64_t row, uint c, float x)
{
	if (KV_FORMAT == KV_F32)
		Floats(row).v[c] = x;
	else
		Shorts(row).v[c] = uint16_t(half_bits(x));
}

/* What the values of a head are multiplied by: RMS norm without its weight. */
float norm_of(Floats x)
{
	float square = 0.0;

	for (uint c = gl_SubgroupInvocationID; c < p.key_size; c += gl_SubgroupSize)
		square += x.v[c] * x.v[c];
	return 1.0 / sqrt(subgroupAdd(square) / float(p.key_size) + p.eps);
}

void main()
{
	const uint heads = p.heads + 2 * p.kv_heads;

	for (uint i = subgroup_index(); i < p.rows * heads; i += subgroup_total()) {
		const uint row = i / heads, head = i % heads;
		const row_place place = place_of(p.places, row, p.rows);

		if (head >= p.heads + p.kv_heads) {
			const uint h = head - p.heads - p.kv_heads;
			Floats x = Floats(floats(p.v, row * p.kv_heads * p.value_size + h * p.value_size));
			const uint64_t to = cache_row(place.pages, p.values, h, kv_row_bytes(KV_FORMAT, p.value_size),
						      place.position);

			for (uint c = gl_SubgroupInvocationID; c < p.value_size; c += gl_SubgroupSize)
				store(to, c, x.v[c]);
			continue;
		}
		const bool is_key = head >= p.heads;
		const uint h = is_key ? head - p.heads : head, all = is_key ? p.kv_heads : p.heads;
		Floats x = Floats(floats(is_key ? p.k : p.q, uint64_t(row * all + h) * p.key_size));
		Floats weight = Floats(is_key ? p.k_norm : p.q_norm);
		const uint64_t to =
			cache_row(place.pages, p.keys, h, kv_row_bytes(KV_FORMAT, p.key_size), place.position);
		const float s = p.has_norm != 0 ? norm_of(x) : 1.0;
		const uint apart = p.interleaved != 0 ? 1 : p.pairs;
		const uint rest = (p.key_size - 2 * p.pairs + 1) / 2;

		/* pairs that turn, then what doesn't, by twos */
		for (uint j = gl_SubgroupInvocationID; j < p.pairs + rest; j += gl_SubgroupSize) {
			const bool turns = j < p.pairs;
			const uint a = !turns ? 2 * j : p.interleaved != 0 ? 2 * j : j;
			const uint b = a + (turns ? apart : 1);
			const vec2 turn =
				turns ? p.magnitude * cos_sin(float(place.position) * Floats(p.frequency).v[j])
				      : vec2(1, 0);
			const float u = x.v[a] * s * weight.v[p.has_norm * a];
			const float w = b < p.key_size ? x.v[b] * s * weight.v[p.has_norm * b] : 0.0;
			const float ua = turns ? u * turn.x - w * turn.y : u;
			const float wb = turns ? u * turn.y + w * turn.x : w;

			if (is_key) {
				store(to, a, ua);
				if (b < p.key_size)
					store(to, b, wb);
			} else {
				x.v[a] = ua;
				if (b < p.key_size)
					x.v[b] = wb;
			}
		}
	}
}
