/* SPDX-License-Identifier: MIT */
/* Which template makes a conversation's prompts: the file's, or one that is given. */
#ifndef STOKER_TOOL_CHAT_TEMPLATE_H
#define STOKER_TOOL_CHAT_TEMPLATE_H

#include <stoker/stoker.h>

#define TEMPLATE_OPTIONS(template, variables)                                                \
	{ "template", 0,      OPTION_STRING,                                                 \
	  (template), "FILE", "chat template, a file or a name: chatml, llama3, ..." },      \
	{                                                                                    \
		"kwargs", 0, OPTION_STRING, (variables), "JSON",                             \
			"variables for the template, such as '{\"enable_thinking\": false}'" \
	}

/*
 * @given: a file, the name of a template of the library's, or NULL for that of @model, whose
 * vocabulary @v is.  An exit status, after a complaint.
 */
int open_template(const char *given, const struct stoker_vocabulary *v, const char *model,
		  struct stoker_template **out);
/*
 * What the template writes behind an answer, "<|im_end|>" for instance, if the vocabulary has no
 * token of that name that ends a turn; to be released with free().  NULL: nothing to look for.
 */
char *end_of_turn(const struct stoker_template *t, const struct stoker_vocabulary *v,
		  const char *variables);
/* Whether --kwargs is a JSON object; false after a complaint. */
bool are_variables(const char *json);

#endif
