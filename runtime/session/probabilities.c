// SPDX-License-Identifier: MIT
/* How likely a chosen token was, and which were the likeliest. */
#include "session/probabilities.h"

#include <math.h>

/* Puts one in its place among the @count likeliest. */
static void insert(struct stoker_token_probability *top, uint32_t count, uint32_t token,
		   float logit)
{
	uint32_t at = count - 1;

	for (; at > 0 && logit > top[at - 1].log_probability; at--)
		top[at] = top[at - 1];
	top[at] = (struct stoker_token_probability){ .token = token, .log_probability = logit };
}

/* @total: logarithm of the sum of all, which without a finite @most there isn't. */
static float chance(float logit, float most, double total)
{
	if (isnan(logit))
		return -INFINITY;
	if (isfinite(most))
		return (float)((double)logit - total);
	return logit == most && most > 0 ? 0 : -INFINITY;
}

void note_probabilities(const float *logits, uint32_t count, uint32_t token,
			struct stoker_token_probability *p, uint32_t top_count)
{
	float most = -INFINITY;
	double sum = 0;

	for (uint32_t i = 0; i <= top_count; i++)
		p[i] = (struct stoker_token_probability){ .token = STOKER_NO_TOKEN,
							  .log_probability = -INFINITY };
	p[0] = (struct stoker_token_probability){ token, logits[token] };
	for (uint32_t i = 0; i < count; i++) {
		most = logits[i] > most ? logits[i] : most;
		if (top_count && logits[i] > p[top_count].log_probability)
			insert(p + 1, top_count, i, logits[i]);
	}
	for (uint32_t i = 0; i < count; i++)
		sum += logits[i] <= most ? exp((double)logits[i] - (double)most) : 0;
	/* without a number among the logits there is no sum either */
	const double total = (double)most + (sum > 0 ? log(sum) : 0);

	for (uint32_t i = 0; i <= top_count; i++)
		p[i].log_probability = chance(p[i].log_probability, most, total);
}

uint32_t count_probabilities(const struct stoker_token_probability *p, uint32_t top_count)
{
	uint32_t count = 0;

	while (count < top_count && p[1 + count].token != STOKER_NO_TOKEN)
		count++;
	return count;
}
