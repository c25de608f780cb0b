// SPDX-License-Identifier: MIT
/* From a conversation to generations: what the answers may be, and as many of
 * them as were asked for. */
#include "serve/chat.h"

#include <stdlib.h>
#include <string.h>

#include "reasoning.h"
#include "serve/calls.h"
#include "serve/forms.h"
#include "serve/gbnf.h"
#include "serve/generation.h"
#include "serve/http.h"
#include "serve/models.h"

bool fields_read(struct json_object *body, const struct served *m, struct chosen *out,
		 struct problem *p)
{
	fields_begin(out, served_vocabulary(m), served_defaults(m));
	return fields_take(body, out, p);
}

void chat_begin(struct chat_request *c, const struct served *m)
{
	const char *variables = served_variables(m);

	*c = (struct chat_request){ .variables = variables ? json_tokener_parse(variables) : NULL };
	fields_begin(&c->chosen, served_vocabulary(m), served_defaults(m));
}

/* What an answer has to be like, and what keeps that in memory until the engine
 * has it. */
struct shape {
	struct stoker_sampler_params sampling;
	struct stoker_reasoning_params reasoning;
	struct form *form;
	struct call_grammar calls;
	const struct call_family *family;
};

static void free_shape(struct shape *s)
{
	form_release(&s->form);
	call_grammar_free(&s->calls);
}

static enum form_kind source_of(const struct chat_request *c, const char **source,
				const char **param)
{
	*param = c->format == FORMAT_GRAMMAR ? "grammar" : "response_format";
	*source = c->source;
	if (c->format == FORMAT_JSON)
		*source = "{\"type\":\"object\"}";
	if (c->format == FORMAT_SCHEMA)
		*source = json_object_to_json_string_ext(
			c->schema, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	return c->format == FORMAT_GRAMMAR ? FORM_GRAMMAR
	       : c->format == FORMAT_REGEX ? FORM_REGEX
					   : FORM_SCHEMA;
}

static bool shape_format(const struct served *m, const struct chat_request *c, struct shape *s,
			 struct problem *p)
{
	const char *source, *param;
	const enum form_kind kind = source_of(c, &source, &param);

	return form_take(served_vocabulary(m), kind, source, param, &s->form, p);
}

/* Calls that may come where the answer has a form: either of them, from the beginning. */
static bool shape_either(const struct served *m, const struct chat_request *c, struct shape *s,
			 struct problem *p)
{
	const char *source, *param;
	const enum form_kind kind = source_of(c, &source, &param);
	struct text both = { .data = NULL };
	char *gbnf = NULL;
	bool ok = form_gbnf(kind, source, param, &gbnf, p);

	if (ok)
		gbnf_either(s->calls.gbnf, gbnf, &both);
	stoker_free(gbnf);
	if (both.failed)
		ok = problem_set(p, 500, NULL, NULL, "out of memory");
	ok = ok && form_take(served_vocabulary(m), FORM_GRAMMAR, both.data, param, &s->form, p);
	text_free(&both);
	return ok;
}

/* Which calls may come, and which have to. */
static bool shape_calls(const struct served *m, const struct chat_request *c, struct shape *s,
			struct problem *p)
{
	static const enum call_choice choices[] = { [CHOICE_AUTO] = CALL_AUTO,
						    [CHOICE_REQUIRED] = CALL_REQUIRED,
						    [CHOICE_NAMED] = CALL_NAMED };
	const struct stoker_template *t = served_template(m, "tool_use");
	const bool either = c->format != FORMAT_TEXT && c->choice == CHOICE_AUTO;

	s->family = call_family_of(t ? stoker_template_source(t) : NULL);
	if (!call_grammar(s->family, served_vocabulary(m), c->tools,
			  either ? CALL_REQUIRED : choices[c->choice], c->tool_name, !c->one_call,
			  &s->calls, p))
		return false;
	if (either)
		return shape_either(m, c, s, p);
	s->sampling.trigger_texts = s->calls.trigger_texts;
	s->sampling.trigger_text_count = s->calls.trigger_text_count;
	s->sampling.trigger_tokens = s->calls.trigger_tokens;
	s->sampling.trigger_token_count = s->calls.trigger_token_count;
	return form_take(served_vocabulary(m), FORM_GRAMMAR, s->calls.gbnf, "tools", &s->form, p);
}

/* A grammar has to know where reasoning is, with a budget for that or without.
 */
static void shape_reasoning(const struct served *m, const struct chat_request *c,
			    const struct chat_prompt *prompt, struct shape *s)
{
	const int32_t budget = c->chosen.reasoning_budget;
	const char *open, *close;

	if (s->sampling.reasoning && budget < 0)
		return;
	if (!s->sampling.grammar && budget < 0)
		return;
	if (!prompt->text ||
	    !reasoning_begun(prompt->text + prompt->opening, prompt->opening_bytes, &open, &close))
		reasoning_tags(served_vocabulary(m), &open, &close);
	s->reasoning = (struct stoker_reasoning_params){ STOKER_REASONING_PARAMS_INIT,
							 .budget = budget, .start = open,
							 .end = close };
	s->sampling.reasoning = &s->reasoning;
}

static bool make_shape(const struct served *m, const struct chat_request *c,
		       const struct chat_prompt *prompt, struct shape *s, struct problem *p)
{
	const bool calls = c->tools && c->choice != CHOICE_NONE;

	*s = (struct shape){ .sampling = c->chosen.sampling };
	if (calls ? !shape_calls(m, c, s, p)
		  : c->format != FORMAT_TEXT && !shape_format(m, c, s, p))
		return false;
	if (s->form)
		s->sampling.grammar = form_grammar(s->form);
	shape_reasoning(m, c, prompt, s);
	return true;
}

static bool check_limits(const struct chat_request *c, struct problem *p)
{
	return !c->chosen.limited || c->chosen.max_tokens ||
	       problem_set(p, 400, "max_tokens", NULL, "max_tokens is 0, limits 1 and %d",
			   INT32_MAX);
}

bool chat_start_prompt(struct exchange *x, struct served *m, const struct chat_request *c,
		       const struct chat_prompt *prompt, struct generation **g, struct problem *p)
{
	const struct chosen *chosen = &c->chosen;
	struct shape shape = { .form = NULL };
	struct generation_params params;
	uint32_t started = 0;
	bool ok = check_limits(c, p) && make_shape(m, c, prompt, &shape, p);

	params = (struct generation_params){
		.model = m,
		.tokens = prompt->tokens,
		.count = prompt->count,
		.max_tokens = chosen->max_tokens,
		.sampling = &shape.sampling,
		.stop = chosen->stop,
		.stop_count = chosen->stop_count,
		.log_probabilities = chosen->log_probabilities,
		.top = chosen->top,
		.ignore_end = chosen->ignore_end,
		.priority = chosen->priority,
		.salt = exchange_salt(x),
		.opening = prompt->text ? prompt->text + prompt->opening : NULL,
		.opening_bytes = prompt->opening_bytes,
		.split_reasoning = !c->keep_tags,
		.calls = shape.family,
		.tools = c->tools,
	};
	for (; ok && started < chosen->n; started += ok) {
		ok = generation_start(&params, &g[started], p);
		shape.sampling.seed++;
	}
	while (!ok && started)
		generation_free(&g[--started]);
	free_shape(&shape);
	return ok;
}

bool chat_start(struct exchange *x, struct served *m, const struct chat_request *c,
		struct generation **g, struct problem *p)
{
	struct chat_prompt prompt = { .text = NULL };
	const bool ok = chat_render(m, c, &prompt, p) && chat_start_prompt(x, m, c, &prompt, g, p);

	chat_prompt_free(&prompt);
	return ok;
}
