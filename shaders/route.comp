/* SPDX-License-Identifier: MIT */
#version 460
#extension GL_GOOGLE_include_directive : require
/*
 * The router: the best experts of each row, best first, the first of equals.  A subgroup a row; each
 * lane holds every gl_SubgroupSize-th expert's score as a key that sorts like the float.
 */
#include "common.glsl"

layout(constant_id = 2) const uint EXPERTS = 64;
const uint KEYS = (EXPERTS + SUBGROUP_MIN - 1) / SUBGROUP_MIN;
const uint GROUPS_MAX = 64;

/* enum stoker_gating */
const uint SOFTMAX = 0, SIGMOID = 1, SOFTMAX_CHOSEN = 2;
const uint TAKEN = 0;
const float SMALLEST_SUM = 6.103515625e-5; /* 2^-14, the smallest normal half float */

PUSH(push_route);

float top, total; /* of the row's softmax */

float probability(float logit)
{
	return p.gating == SOFTMAX ? exp(logit - top) / total
				   : p.gating == SIGMOID ? sigmoid(logit) : logit;
}

/* What decides: NaN counts as minus infinity. */
float score(Floats logits, uint e)
{
	const float s = probability(logits.v[e]) + Floats(p.bias).v[p.has_bias * e];

	return is_nan(s) || is_nan(logits.v[e]) ? -INFINITY : s;
}

uint sort_key(float s)
{
	const uint sign_and_rest = floatBitsToUint(s);
	const uint bits = sign_and_rest == 0x80000000u ? 0u : sign_and_rest; /* zeros are equal */

	return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

/* The sum of a group's two best scores. */
float quality(Floats logits, uint group, uint size)
{
	float best = -INFINITY, second = -INFINITY;

	for (uint i = 0; i < size; i++) {
		const float s = score(logits, group * size + i);

		second = max(second, min(best, s));
		best = max(best, s);
	}
	return size > 1 ? best + second : best;
}

/* Whether fewer than groups_used groups are better. */
bool eligible(Floats logits, uint group, uint size)
{
	const float mine = quality(logits, group, size);
	uint better = 0;

	for (uint o = 0; o < p.groups; o++) {
		const float other = quality(logits, o, size);

		better += other > mine || (other == mine && o < group) ? 1 : 0;
	}
	return better < p.groups_used;
}

void route_row(uint row)
{
	Floats logits = Floats(floats(p.logits, uint64_t(row) * EXPERTS));
	Words ids = Words(floats(p.ids, uint64_t(row) * p.used));
	Floats weights = Floats(floats(p.weights, uint64_t(row) * p.used));
	uint key[KEYS];
	float sum = 0.0;

	if (p.gating == SOFTMAX) {
		top = -INFINITY;
		total = 0.0;
		for (uint e = gl_SubgroupInvocationID; e < EXPERTS; e += gl_SubgroupSize)
			top = max(top, logits.v[e]);
		top = subgroupMax(top);
		for (uint e = gl_SubgroupInvocationID; e < EXPERTS; e += gl_SubgroupSize)
			total += exp(logits.v[e] - top);
		total = subgroupAdd(total);
	}
	[[unroll]] for (uint i = 0; i < KEYS; i++) {
		const uint e = gl_SubgroupInvocationID + i * gl_SubgroupSize;

		key[i] = e < EXPERTS ? sort_key(score(logits, e)) : TAKEN;
	}
	if (p.groups > 1) {
		const uint size = EXPERTS / p.groups;

		for (uint group = 0; group < p.groups; group++)
			if (!eligible(logits, group, size)) {
				[[unroll]] for (uint i = 0; i < KEYS; i++) {
					const uint e = gl_SubgroupInvocationID + i * gl_SubgroupSize;

					if (e / size == group && e < EXPERTS)
						key[i] = sort_key(-INFINITY);
				}
			}
	}
	for (uint k = 0; k < p.used; k++) {
		uint best = TAKEN, index = EXPERTS;

		[[unroll]] for (uint i = 0; i < KEYS; i++)
			if (key[i] > best) {
				best = key[i];
				index = gl_SubgroupInvocationID + i * gl_SubgroupSize;
			}
		const uint most = subgroupMax(best);
		const uint chosen = subgroupMin(best == most ? index : EXPERTS);

		[[unroll]] for (uint i = 0; i < KEYS; i++)
			if (gl_SubgroupInvocationID + i * gl_SubgroupSize == chosen)
				key[i] = TAKEN;
		const float w = probability(logits.v[min(chosen, EXPERTS - 1)]);

		sum += w;
		if (gl_SubgroupInvocationID == 0) {
			ids.v[k] = min(chosen, EXPERTS - 1);
			weights.v[k] = w;
		}
	}
	if (gl_SubgroupInvocationID != 0)
		return;
	if (p.gating == SOFTMAX_CHOSEN) {
		const float best = weights.v[0];

		sum = 0.0;
		for (uint k = 0; k < p.used; k++)
			sum += exp(weights.v[k] - best);
		for (uint k = 0; k < p.used; k++)
			weights.v[k] = exp(weights.v[k] - best) / sum;
		sum = 1.0;
	}
	const float factor = p.scale / (p.normalize != 0 ? max(sum, SMALLEST_SUM) : 1.0);

	for (uint k = 0; k < p.used; k++)
		weights.v[k] *= factor;
}

void main()
{
	for (uint row = subgroup_index(); row < p.rows; row += subgroup_total())
		route_row(row);
}
