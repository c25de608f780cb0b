/* SPDX-License-Identifier: MIT */
/* The running softmax of attention's queries, for files that are compiled once an instruction set.
 */
#ifndef STOKER_CPU_SOFTMAX_H
#define STOKER_CPU_SOFTMAX_H

#include "device/cpu/attend.h"
#include "device/cpu/vector_math.h"

#include <math.h>

INLINE vec scaled(const struct op_attention *op, vec dots)
{
	const vec s = op->scale * dots;

	return op->softcap > 0 ? op->softcap * tanh_of(s / op->softcap) : s;
}

/* The largest of @vectors vectors' scores, by query. */
INLINE void largest_scores(const float *scores, size_t vectors, size_t count, float *top)
{
	vec best = load(scores);
	float lanes[LANES];

	for (size_t v = 1; v < vectors; v++)
		best = larger(load(scores + v * LANES), best);
	store(lanes, best);
	for (size_t half = LANES / 2; half >= count; half /= 2)
		for (size_t i = 0; i < half; i++)
			if (lanes[i + half] > lanes[i])
				lanes[i] = lanes[i + half];
	memcpy(top, lanes, count * sizeof(*top));
}

/* scores = exp(scores - top), of @blocks * LANES rows; the sums, by query. */
INLINE void exponentials(float *scores, size_t blocks, size_t count, const float *top, float *sum)
{
	float tops[LANES], sums[LANES * QUERIES];
	vec acc[QUERIES] = { 0 };

	for (size_t i = 0; i < LANES; i++)
		tops[i] = top[i % count];
	const vec most = load(tops);

	for (size_t b = 0; b < blocks; b++)
		for (size_t v = 0; v < count; v++, scores += LANES) {
			const vec e = exp_of(load(scores) - most);

			store(scores, e);
			acc[v] += e;
		}
	for (size_t v = 0; v < count; v++)
		store(sums + v * LANES, acc[v]);
	for (size_t half = LANES * count / 2; half >= count; half /= 2)
		for (size_t i = 0; i < half; i++)
			sums[i] += sums[i + half];
	memcpy(sum, sums, count * sizeof(*sum));
}

/* A new largest score: what was found so far counts for less. */
INLINE void raise_top(struct query *q, float top, size_t value_size)
{
	if (!(top > q->top))
		return;
	const float shrink = q->sum > 0 ? expf(q->top - top) : 0;

	q->sum *= shrink;
	for (size_t c = 0; c < value_size; c++)
		q->out[c] *= shrink;
	q->top = top;
}

#endif
