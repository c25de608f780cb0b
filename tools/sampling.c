// SPDX-License-Identifier: MIT
/* From the options of sampling to a sampler. */
#include "sampling.h"

int open_sampler(const struct sampling_options *s, const struct stoker_gguf *gguf,
		 const struct stoker_vocabulary *vocabulary, struct stoker_sampler **sampler)
{
	const struct stoker_sampler_params params = {
		.temperature = (float)s->temperature,
		.top_k = (uint32_t)s->top_k,
		.top_p = (float)s->top_p,
		.min_p = (float)s->min_p,
		.repeat_penalty = (float)s->repeat_penalty,
		.repeat_last = (uint32_t)s->repeat_last,
		.seed = s->seed,
	};
	struct stoker_error err;

	(void)gguf;
	(void)vocabulary;
	if (!stoker_sampler_create(&params, sampler, &err))
		return EXIT_OK;
	fail(&err);
	return EXIT_USAGE;
}
