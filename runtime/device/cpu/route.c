// SPDX-License-Identifier: MIT
/* The router of a mixture of experts, on the CPU. */
#include "device/cpu/cpu.h"

#include <math.h>

static const float smallest_sum = 6.103515625e-5f; /* 2^-14, the smallest normal half float */

/* Leaves only the best groups eligible; a group is as good as the sum of its two best scores. */
static void mask_groups(const struct op_route *op, float *score)
{
	const uint32_t size = op->experts / op->groups;
	float quality[64];

	for (uint32_t g = 0; g < op->groups; g++) {
		float best = -INFINITY, second = -INFINITY;

		for (uint32_t i = 0; i < size; i++) {
			const float s = score[g * size + i];

			if (s > best) {
				second = best;
				best = s;
			} else if (s > second) {
				second = s;
			}
		}
		quality[g] = size > 1 ? best + second : best;
	}
	for (uint32_t g = 0; g < op->groups; g++) {
		uint32_t better = 0;

		for (uint32_t o = 0; o < op->groups; o++)
			better += quality[o] > quality[g] || (quality[o] == quality[g] && o < g);
		if (better >= op->groups_used)
			for (uint32_t i = 0; i < size; i++)
				score[g * size + i] = -INFINITY;
	}
}

static void route_row(const struct cpu *cpu, const struct op_route *op, size_t row,
		      float *probability, float *score)
{
	const float *logits = (const float *)host(op->logits) + row * op->experts;
	const float *bias = host(op->bias);
	uint32_t *ids = (uint32_t *)host(op->ids) + row * op->used;
	float *weights = (float *)host(op->weights) + row * op->used;
	float sum = 0;

	memcpy(probability, logits, op->experts * sizeof(float));
	if (op->gating == GATING_SOFTMAX) {
		const float total = cpu->kernels->exp_sum(
			probability, cpu->kernels->max(probability, op->experts), op->experts);

		cpu->kernels->scale(probability, 1 / total, op->experts);
	} else if (op->gating == GATING_SIGMOID) {
		cpu->kernels->sigmoid(logits, probability, op->experts);
	}
	for (uint32_t e = 0; e < op->experts; e++) {
		score[e] = probability[e] + (bias ? bias[e] : 0);
		if (isnan(logits[e]) || isnan(score[e]))
			score[e] = -INFINITY;
	}
	if (op->groups > 1)
		mask_groups(op, score);
	for (uint32_t k = 0; k < op->used; k++) {
		uint32_t best = UINT32_MAX;

		/* a chosen expert's score becomes NaN, which compares as neither */
		for (uint32_t e = 0; e < op->experts; e++)
			if (!isnan(score[e]) && (best == UINT32_MAX || score[e] > score[best]))
				best = e;
		ids[k] = best;
		weights[k] = probability[best];
		score[best] = NAN;
		sum += weights[k];
	}
	if (op->gating == GATING_SOFTMAX_CHOSEN) {
		sum = cpu->kernels->exp_sum(weights, weights[0], op->used);
		cpu->kernels->scale(weights, 1 / sum, op->used);
		sum = 1;
	}
	if (op->normalize)
		cpu->kernels->scale(weights, 1 / fmaxf(sum, smallest_sum), op->used);
	if (op->scale != 1)
		cpu->kernels->scale(weights, op->scale, op->used);
}

static void route_range(const void *context, const struct cpu *cpu, unsigned thread, size_t begin,
			size_t end)
{
	const struct op_route *op = context;
	float *probability = cpu_scratch(cpu, thread);

	for (size_t r = begin; r < end; r++)
		route_row(cpu, op, r, probability, probability + op->experts);
}

void cpu_route(struct stoker_device *d, const struct op_route *op)
{
	struct cpu *cpu = cpu_of(d);

	assert(op->groups <= 64);
	if (cpu_reserve_scratch(cpu, 2 * op->experts * sizeof(float)))
		cpu_parallel(cpu, op->rows, 16, (size_t)op->rows * op->experts * (10 + op->used),
			     route_range, op);
}
