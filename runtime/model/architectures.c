// SPDX-License-Identifier: MIT
/* The architectures, by their names in GGUF. */
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
