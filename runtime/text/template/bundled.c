// SPDX-License-Identifier: MIT
/* Templates for files that have none: what the families' own templates write, without tools. */
#include "stoker/template.h"

#include "base/base.h"

/* The system message goes before the first user's text. */
#define SYSTEM_FIRST                                                          \
	"{%- set ns = namespace(system='') -%}"                               \
	"{%- if messages and messages[0].role in ('system', 'developer') -%}" \
	"{%- set ns.system = messages[0].content -%}"                         \
	"{%- set messages = messages[1:] -%}"                                 \
	"{%- endif -%}"

static const struct {
	const char *name, *source;
} templates[] = {
	{ "alpaca",
	  "{%- for m in messages -%}"
	  "{%- if m.role == 'user' -%}{{ '### Instruction:\n' + m.content + '\n\n' }}"
	  "{%- elif m.role == 'assistant' -%}{{ '### Response:\n' + m.content + eos_token "
	  "+ '\n\n' }}"
	  "{%- else -%}{{ m.content + '\n\n' }}{%- endif -%}"
	  "{%- endfor -%}"
	  "{%- if add_generation_prompt -%}{{ '### Response:\n' }}{%- endif -%}" },
	{ "chatml",
	  "{%- for m in messages -%}"
	  "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
	  "{%- endfor -%}"
	  "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}" },
	{ "deepseek",
	  SYSTEM_FIRST "{{ bos_token }}{{ ns.system }}"
		       "{%- for m in messages -%}"
		       "{%- if m.role == 'assistant' -%}"
		       "{{ '<｜Assistant｜>' + m.content + '<｜end▁of▁sentence｜>' }}"
		       "{%- else -%}{{ '<｜User｜>' + m.content }}{%- endif -%}"
		       "{%- endfor -%}"
		       "{%- if add_generation_prompt -%}{{ '<｜Assistant｜>' }}{%- endif -%}" },
	{ "gemma", SYSTEM_FIRST
	  "{{ bos_token }}"
	  "{%- for m in messages -%}"
	  "{%- set role = 'model' if m.role == 'assistant' else 'user' -%}"
	  "{{ '<start_of_turn>' + role + '\n' }}"
	  "{%- if loop.first and ns.system -%}{{ ns.system | trim + '\n\n' }}{%- endif -%}"
	  "{{ m.content | trim + '<end_of_turn>\n' }}"
	  "{%- endfor -%}"
	  "{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}" },
	{ "llama2", SYSTEM_FIRST
	  "{%- for m in messages -%}"
	  "{%- if m.role == 'assistant' -%}{{ ' ' + m.content | trim + ' ' + eos_token }}"
	  "{%- else -%}"
	  "{{ bos_token + '[INST] ' }}"
	  "{%- if loop.first and ns.system -%}"
	  "{{ '<<SYS>>\n' + ns.system + '\n<</SYS>>\n\n' }}"
	  "{%- endif -%}"
	  "{{ m.content | trim + ' [/INST]' }}"
	  "{%- endif -%}"
	  "{%- endfor -%}" },
	{ "llama3",
	  "{{ bos_token }}"
	  "{%- for m in messages -%}"
	  "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim "
	  "+ '<|eot_id|>' }}"
	  "{%- endfor -%}"
	  "{%- if add_generation_prompt -%}"
	  "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
	  "{%- endif -%}" },
	{ "mistral",
	  SYSTEM_FIRST "{{ bos_token }}"
		       "{%- for m in messages -%}"
		       "{%- if m.role == 'assistant' -%}{{ ' ' + m.content + eos_token }}"
		       "{%- else -%}"
		       "{{ '[INST] ' }}"
		       "{%- if loop.last and ns.system -%}{{ ns.system + '\n\n' }}{%- endif -%}"
		       "{{ m.content + '[/INST]' }}"
		       "{%- endif -%}"
		       "{%- endfor -%}" },
	{ "phi3", "{%- for m in messages -%}"
		  "{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}"
		  "{%- endfor -%}"
		  "{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}" },
	{ "vicuna", "{{ bos_token }}"
		    "{%- for m in messages -%}"
		    "{%- if m.role == 'user' -%}{{ 'USER: ' + m.content + '\n' }}"
		    "{%- elif m.role == 'assistant' -%}{{ 'ASSISTANT: ' + m.content + eos_token + "
		    "'\n' }}"
		    "{%- else -%}{{ m.content + '\n\n' }}{%- endif -%}"
		    "{%- endfor -%}"
		    "{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}" },
	{ "zephyr", "{%- for m in messages -%}"
		    "{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}"
		    "{%- endfor -%}"
		    "{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}" },
};

const char *stoker_template_bundled(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(templates); i++)
		if (!strcmp(name, templates[i].name))
			return templates[i].source;
	return NULL;
}

const char *stoker_template_bundled_name(size_t index)
{
	return index < ARRAY_SIZE(templates) ? templates[index].name : NULL;
}
