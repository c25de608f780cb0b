// SPDX-License-Identifier: MIT
/* The architectures, by their names in GGUF. */
#include "model/architectures.h"

#include "model/model.h"

const struct architecture stoker_architectures[] = {
	{ "llama", load_llama },	 { "qwen2", load_qwen },
	{ "qwen3", load_qwen },		 { "qwen2moe", load_qwen },
	{ "qwen3moe", load_qwen },	 { "olmoe", load_olmoe },
	{ "deepseek2", load_deepseek2 }, { "gpt-oss", load_gpt_oss },
	{ "glm4moe", load_glm4moe },	 { "lfm2", load_lfm2 },
	{ "lfm2moe", load_lfm2 },	 { "qwen35", load_qwen35 },
	{ "qwen35moe", load_qwen35 },	 { "smallthinker", load_smallthinker },
	{ "granite", load_granite },	 { "granitemoe", load_granite },
	{ "gemma3", load_gemma3 },	 { "phi3", load_phi3 },
};

const size_t stoker_architecture_count = ARRAY_SIZE(stoker_architectures);

bool stoker_architecture_is_known(const struct stoker_gguf *gguf)
{
	const struct stoker_gguf_key *key = stoker_gguf_find(gguf, "general.architecture");
	struct stoker_string s;

	if (!key || stoker_gguf_string(gguf, key, &s))
		return false;
	for (size_t i = 0; i < stoker_architecture_count; i++)
		if (strlen(stoker_architectures[i].name) == s.length &&
		    !memcmp(stoker_architectures[i].name, s.data, s.length))
			return true;
	return false;
}
