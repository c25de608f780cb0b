/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/*
 * Softmax attention over the cache: see struct op_attention.  A subgroup computes one head of one
 * row.  Of each run of positions, lanes first take one position each (the score), then one pair of
 * each value's components each (the sum), with a running maximum (arXiv:1805.02867).  With a Q8_KIND, for
 * which subgroups have exactly SUBGROUP_MIN lanes, the rows' 8-bit codes are made, too.
 */
#include "common.glsl"
#include "kv.glsl"
#define CODES_ID 5
#include "quantize.glsl"

layout(constant_id = 3) const uint KEY_SIZE = 128;
layout(constant_id = 4) const uint VALUE_SIZE = 128;
/* A group of 32 values, for which there are codes: so many pairs in so many lanes. */
const uint GROUP_LANES = SUBGROUP_MIN < 16 ? SUBGROUP_MIN : 16, GROUP_PAIRS = 16 / GROUP_LANES;
const uint VALUE_PAIRS = ((VALUE_SIZE + 1) / 2 + SUBGROUP_MIN - 1) / SUBGROUP_MIN;

PUSH(push_attention);

/*
 * Values @c and @c + 1 (even @c) of a cache row; @even: rows have even sizes, so that pairs of half
 * floats are aligned words.
 */
vec2 kv_pair(uint format, uint64_t row, uint c, bool even)
{
	if (format == KV_F32) {
		Floats m = Floats(floats(row, c));

		return vec2(m.v[0], m.v[1]);
	}
	if (format == KV_F16) {
		const uint64_t at = row + 2 * c;
		Words m = Words(at & ~3ul);

		if (even)
			return unpackHalf2x16(m.v[0]);
		return unpackHalf2x16((uint(at) & 2u) == 0u ? m.v[0] : m.v[0] >> 16 | m.v[1] << 16);
	}
	const uint64_t block = row + c / 32 * 34, at = block + 2 + c % 32;
	const uint d = Words(block & ~3ul).v[0] >> 8u * (uint(block) & 2u);
	const uint q = Words(at & ~3ul).v[0] >> 8u * (uint(at) & 2u);

	return unpackHalf2x16(d).x * vec2(int(q << 24) >> 24, int(q << 16) >> 24);
}

float score(uint64_t q, uint64_t row)
{
	Floats query = Floats(q);
	vec2 sum = vec2(0);
	float s;

	for (uint i = 0; i + 1 < KEY_SIZE; i += 2)
		sum += vec2(query.v[i], query.v[i + 1]) * kv_pair(KV_FORMAT, row, i, KEY_SIZE % 2 == 0);
	if (KEY_SIZE % 2 == 1)
		sum.x += query.v[KEY_SIZE - 1] * kv_pair(KV_FORMAT, row, KEY_SIZE - 1, false).x;
	s = (sum.x + sum.y) * p.scale;
	/* tanh of large values overflows on some devices */
	return p.softcap > 0.0 ? p.softcap * tanh(clamp(s / p.softcap, -20.0, 20.0)) : s;
}

/* Of the lanes that have a group among them. */
float largest_of(float x)
{
	if (GROUP_LANES == SUBGROUP_MIN)
		return subgroupMax(x);
	[[unroll]] for (uint i = 1; i < GROUP_LANES; i *= 2)
		x = max(x, subgroupShuffleXor(x, i));
	return x;
}

int sum_of(int x)
{
	if (GROUP_LANES == SUBGROUP_MIN)
		return subgroupAdd(x);
	[[unroll]] for (uint i = 1; i < GROUP_LANES; i *= 2)
		x += subgroupShuffleXor(x, i);
	return x;
}

/* Codes of the pairs of values that lanes have; neighbours make a word, or two, of theirs. */
void make_codes(uint head, const vec2 value[VALUE_PAIRS])
{
	const uint lane = gl_SubgroupInvocationID;

	[[unroll]] for (uint i = 0; i + GROUP_PAIRS <= VALUE_PAIRS; i += GROUP_PAIRS) {
		const uint c = 2 * (lane + i * SUBGROUP_MIN);
		Words dst = Words(q8_of(p.codes, head * (VALUE_SIZE / 32) + c / 32));
		float largest = 0.0;
		int sums = 0;

		[[unroll]] for (uint j = i; j < i + GROUP_PAIRS; j++)
			largest = max(largest, max(size_of(value[j].x), size_of(value[j].y)));
		largest = largest_of(largest);
		const float inverse = code_inverse(largest);

		[[unroll]] for (uint j = 0; j < GROUP_PAIRS; j++) {
			const ivec2 q = to_q8(value[i + j].xyxy, inverse).xy;
			const uint at = c % 32 + 2 * SUBGROUP_MIN * j; /* within the group */
			const bool odd = (lane & 1u) != 0;
			const uint bytes = (uint(q.x) & 255u) | (uint(q.y) & 255u) << 8;
			const uint other = subgroupShuffleXor(
				PAIRS ? uint(odd ? q.x : q.y) : bytes, 1u);

			sums += (q.x + q.y) * (at < 16 ? 65537 : 1);
			if (c < VALUE_SIZE && PAIRS)
				dst.v[at / 2] = odd ? other * 65536u + uint(q.y)
						    : uint(q.x) * 65536u + other;
			else if (c < VALUE_SIZE && !odd)
				dst.v[at / 4] = bytes | other << 16;
		}
		sums = sum_of(sums);
		if (c < VALUE_SIZE && c % 32 == 0) {
			store_sums(dst, CODE_WORDS, largest, sums);
			if (PAIRS)
				store_squares(dst, CODE_WORDS, 32.0);
		}
	}
}

void attend(uint row, uint head)
{
	const row_place place = place_of(p.places, row, p.rows);
	const uint end = place.position + 1;
	const uint first = p.window != 0 && end > p.window ? end - p.window : 0;
	const uint kv_head = head / (p.heads / p.kv_heads);
	const uint key_bytes = kv_row_bytes(KV_FORMAT, KEY_SIZE);
	const uint value_bytes = p.shared_value != 0 ? key_bytes : kv_row_bytes(VALUE_FORMAT, VALUE_SIZE);
	const uint64_t q = floats(p.q, uint64_t(row) * p.q_stride + head * p.q_head_stride);
	float top = -INFINITY, total = 0.0;
	vec2 sum[VALUE_PAIRS];

	[[unroll]] for (uint i = 0; i < VALUE_PAIRS; i++)
		sum[i] = vec2(0);
	for (uint base = first; base < end; base += gl_SubgroupSize) {
		const uint mine = base + gl_SubgroupInvocationID;
		const float s =
			mine < end ? score(q, cache_row(place.pages, p.keys, kv_head, key_bytes,
							min(mine, end - 1)))
				   : -INFINITY;
		const float new_top = max(top, subgroupMax(s));
		const float shrink = exp(top - new_top), weight = exp(s - new_top);
		const uint count = min(gl_SubgroupSize, end - base);

		top = new_top;
		total = total * shrink + subgroupAdd(weight);
		[[unroll]] for (uint i = 0; i < VALUE_PAIRS; i++)
			sum[i] *= shrink;
		for (uint j = 0; j < count;) {
			uint64_t at = cache_row(place.pages, p.values, kv_head, value_bytes, base + j);
			/* rows of a page lie one after another */
			const uint stop = min(count, j + KV_PAGE_ROWS - (base + j) % KV_PAGE_ROWS);

			for (; j < stop; j++, at += value_bytes) {
				const float w = subgroupShuffle(weight, j);

				[[unroll]] for (uint i = 0; i < VALUE_PAIRS; i++) {
					const uint c = 2 * (gl_SubgroupInvocationID + i * gl_SubgroupSize);

					if (c < VALUE_SIZE)
						sum[i] += w * kv_pair(VALUE_FORMAT, at, c, KEY_SIZE % 2 == 0 && VALUE_SIZE % 2 == 0);
				}
			}
		}
	}
	/* a sink is a logit without a value; where there is none it is minus infinity */
	const float sink = Floats(p.sinks).v[p.has_sinks * head], last_top = max(top, sink);
	const float shrink = exp(top - last_top);

	total = total * shrink + exp(sink - last_top);
	Floats dst = Floats(floats(p.dst, uint64_t(row) * p.dst_stride + head * VALUE_SIZE));

	[[unroll]] for (uint i = 0; i < VALUE_PAIRS; i++) {
		const uint c = 2 * (gl_SubgroupInvocationID + i * gl_SubgroupSize);

		sum[i] *= shrink / total;
		if (c < VALUE_SIZE)
			dst.v[c] = sum[i].x;
		if (c + 1 < VALUE_SIZE)
			dst.v[c + 1] = sum[i].y;
	}
	if (Q8_KIND != Q8_NONE)
		make_codes(row * p.heads + head, sum);
}

void main()
{
	for (uint i = subgroup_index(); i < p.rows * p.heads; i += subgroup_total())
		attend(i / p.heads, i % p.heads);
}
