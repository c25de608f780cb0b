// SPDX-License-Identifier: MIT
/* The public calls: a template is parsed once, and run with what it is told. */
#include <stdio.h>

#include "text/template/interpreter.h"
#include "base/sized.h"
#include "text/vocabulary.h"

struct stoker_template {
	char *name, *source;
	size_t source_bytes;
	struct job job; /* whose memory holds the tree */
	struct tree *tree;
};

int stoker_template_parse(const char *source, size_t bytes, const char *name,
			  struct stoker_template **out, struct stoker_error *err)
{
	struct stoker_template *t;

	if (out)
		*out = NULL;
	if (!out || (!source && bytes))
		return stoker_fail(err, -EINVAL, "a template needs a source and a place for it");
	name = name ? name : "template";
	t = calloc(1, sizeof(*t));
	if (!t)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", name);
	t->name = strdup(name);
	t->source = bytes <= MAX_SOURCE ? malloc(bytes + 1) : NULL;
	if (!t->name || !t->source) {
		free(t->name);
		free(t);
		if (bytes > MAX_SOURCE)
			return stoker_fail(err, -EINVAL, "%s: a template of %zu bytes, limit %d",
					   name, bytes, MAX_SOURCE);
		return stoker_fail(err, -ENOMEM, "%s: out of memory", name);
	}
	memcpy(t->source, source, bytes);
	t->source[bytes] = 0;
	t->source_bytes = bytes;
	t->job = (struct job){ .arena = { .limit = MAX_MEMORY },
			       .name = t->name,
			       .source = t->source,
			       .source_bytes = bytes,
			       .err = err };
	if (setjmp(t->job.out)) {
		const int code = t->job.code;

		stoker_template_free(&t);
		return code;
	}
	t->tree = parse(&t->job);
	t->job.err = NULL;
	*out = t;
	return 0;
}

void stoker_template_free(struct stoker_template **template)
{
	struct stoker_template *t = template ? *template : NULL;

	if (!t)
		return;
	*template = NULL;
	job_free(&t->job);
	free(t->source);
	free(t->name);
	free(t);
}

const char *stoker_template_source(const struct stoker_template *t)
{
	return t ? t->source : NULL;
}

int stoker_template_load(const struct stoker_vocabulary *v, const char *name,
			 struct stoker_template **out, struct stoker_error *err)
{
	const struct stoker_gguf_key *found;
	struct stoker_string source;
	const char *path;
	char key[120];

	if (out)
		*out = NULL;
	if (!v || !out)
		return stoker_fail(err, -EINVAL,
				   "a template needs a vocabulary and a place for it");
	path = stoker_gguf_file(v->gguf, 0, NULL, NULL);
	snprintf(key, sizeof(key), "tokenizer.chat_template%s%.80s", name ? "." : "",
		 name ? name : "");
	found = stoker_gguf_find(v->gguf, key);
	if (!found)
		return stoker_fail(err, -ENOENT, "%s: no chat template (key %s)", path, key);
	if (stoker_gguf_string(v->gguf, found, &source))
		return stoker_fail(err, -EINVAL, "%s: the key %s is no string", path, key);
	return stoker_template_parse(source.data, source.length, key, out, err);
}

/* A key that isn't a message's but the API's own. */
static struct value name_of(struct job *j, const char *name)
{
	return constant_value(j, name);
}

static void set_text(struct job *j, struct dict *d, const char *name, const char *text)
{
	if (text)
		dict_set(j, d, name_of(j, name), text_value(new_text(j, text, strlen(text), true)));
}

/* Roles that templates build control tokens from are theirs. */
static struct value role_value(struct job *j, const char *role)
{
	const struct text *t = known_role(j, role, strlen(role));

	return text_value(t ? t : new_text(j, role, strlen(role), true));
}

static struct value messages_value(struct job *j, const struct stoker_template_input *input)
{
	struct sequence *list = new_sequence(j, FLAVOUR_LIST, input->count);

	if (input->messages_json) {
		const struct value v = from_json(j, input->messages_json,
						 strlen(input->messages_json), "messages", true);

		if (!is_flavour(v, FLAVOUR_LIST))
			job_fail(j, -EINVAL, "messages: a list is needed, not '%s'", type_name(v));
		for (size_t i = 0; i < v.sequence->count; i++)
			if (v.sequence->items[i].kind != VALUE_DICT)
				job_fail(j, -EINVAL, "messages: message %zu is no object but '%s'",
					 i + 1, type_name(v.sequence->items[i]));
		return v;
	}
	for (size_t i = 0; i < input->count; i++) {
		struct stoker_message own;
		const struct stoker_message *m = &own;
		struct dict *d = new_dict(j);
		struct stoker_error why;

		if (sized_take_item(&own, sizeof(own), input->messages, input->message_size, i,
				    &why))
			job_fail(j, -E2BIG, "messages: message %zu: %s", i + 1, why.message);
		if (!m->role)
			job_fail(j, -EINVAL, "messages: message %zu has no role", i + 1);
		dict_set(j, d, name_of(j, "role"), role_value(j, m->role));
		dict_set(j, d, name_of(j, "content"),
			 m->content ? text_value(new_text(j, m->content, strlen(m->content), true))
				    : NONE);
		set_text(j, d, "reasoning_content", m->reasoning_content);
		if (m->tool_calls)
			dict_set(j, d, name_of(j, "tool_calls"),
				 from_json(j, m->tool_calls, strlen(m->tool_calls), "tool_calls",
					   true));
		set_text(j, d, "tool_call_id", m->tool_call_id);
		set_text(j, d, "name", m->name);
		sequence_add(j, list, dict_value(d));
	}
	return sequence_value(list);
}

static void set_token(struct job *j, struct dict *d, const struct stoker_vocabulary *v,
		      const char *name, int64_t id)
{
	const struct text *t = constant(j, "");

	if (v && id >= 0)
		t = new_text(j, v->tokens[id].text.data, v->tokens[id].text.length, false);
	if (t->bytes || strcmp(name, "unk_token"))
		dict_set(j, d, name_of(j, name), text_value(t));
}

/* Everything that templates find by name. */
static struct dict *variables(struct job *j, const struct stoker_vocabulary *v,
			      const struct stoker_template_input *input)
{
	struct dict *d = new_dict(j);
	struct value more;

	dict_set(j, d, name_of(j, "messages"), messages_value(j, input));
	dict_set(j, d, name_of(j, "tools"),
		 input->tools ? from_json(j, input->tools, strlen(input->tools), "tools", true)
			      : NONE);
	dict_set(j, d, name_of(j, "documents"), NONE);
	dict_set(j, d, name_of(j, "add_generation_prompt"), boolean(input->answer));
	set_token(j, d, v, "bos_token", v ? v->bos : -1);
	set_token(j, d, v, "eos_token", v ? v->eos : -1);
	set_token(j, d, v, "unk_token", v ? v->unknown : -1);
	if (!input->variables)
		return d;
	more = from_json(j, input->variables, strlen(input->variables), "variables", true);
	if (more.kind != VALUE_DICT)
		job_fail(j, -EINVAL, "variables: an object is needed, not '%s'", type_name(more));
	for (size_t i = 0; i < more.dict->count; i++) {
		const struct text *key = more.dict->entries[i].key.text;
		struct value value = more.dict->entries[i].value;

		/* whoever names special tokens means them */
		if (value.kind == VALUE_TEXT && key->bytes > 6 &&
		    !memcmp(key->data + key->bytes - 6, "_token", 6))
			value = text_value(new_text(j, value.text->data, value.text->bytes, false));
		dict_set(j, d, more.dict->entries[i].key, value);
	}
	return d;
}

static void set_globals(struct job *j, const struct dict *d)
{
	struct tree *tree = j->tree;

	j->globals = job_alloc(j, tree->symbol_count * sizeof(*j->globals));
	for (uint32_t i = 0; i < tree->symbol_count; i++) {
		const struct text *name = tree->symbols[i];
		const struct value *v = dict_get(j, d, text_value(name));
		const struct builtin *b = find_function(name->data, name->bytes);

		j->globals[i] = v   ? *v
				: b ? (struct value){ .kind = VALUE_BUILTIN, .builtin = b }
				    : ABSENT;
	}
	for (uint32_t i = 0; tree->missing && i < tree->missing[0]; i++)
		j->globals[tree->missing[1 + i]] = ABSENT;
}

/*
 * What it leads to belongs to the caller, so there has to be a place for it: for all that version 1
 * has.  Members that come later can't lead to memory unless they are asked for.
 */
static int check_prompt(const struct stoker_prompt *prompt, struct stoker_error *err)
{
	const size_t least = SIZED_THROUGH(struct stoker_prompt, span_count);
	const int ret = SIZED_CHECK(prompt, STOKER_PROMPT_INIT, err);

	if (ret || prompt->size >= least)
		return ret;
	return stoker_fail(err, -EINVAL, "a prompt of %zu bytes, it has %zu", prompt->size, least);
}

static void clear(struct stoker_prompt *prompt)
{
	const struct stoker_prompt empty = { .text = NULL };

	sized_give(prompt, &empty, sizeof(empty));
}

static int copy_output(const struct output *o, struct stoker_prompt *prompt)
{
	prompt->text = malloc(o->bytes + 1);
	prompt->spans = malloc((o->mark_count + 1) * sizeof(*prompt->spans));
	if (!prompt->text || !prompt->spans) {
		stoker_prompt_free(prompt);
		return -ENOMEM;
	}
	if (o->bytes)
		memcpy(prompt->text, o->data, o->bytes);
	prompt->text[o->bytes] = 0;
	prompt->bytes = o->bytes;
	if (o->mark_count)
		memcpy(prompt->spans, o->marks, o->mark_count * sizeof(*o->marks));
	prompt->span_count = o->mark_count;
	return 0;
}

static int render(const struct stoker_template *t, const struct stoker_vocabulary *v,
		  const struct stoker_template_input *input, struct stoker_prompt *prompt,
		  struct stoker_error *err)
{
	struct output o = { 0 };
	struct job j = { .arena = { .limit = MAX_MEMORY },
			 .name = t->name,
			 .source = t->source,
			 .source_bytes = t->source_bytes,
			 .err = err,
			 .output = &o,
			 .now = input->now,
			 .tree = t->tree };

	if (!setjmp(j.out)) {
		set_globals(&j, variables(&j, v, input));
		j.steps = 0; /* what is given costs nothing, running does */
		run_list(&j, NULL, t->tree->body);
		if (copy_output(&o, prompt))
			j.code = stoker_fail(err, -ENOMEM, "%s: out of memory", t->name);
	}
	release_json(&j);
	job_free(&j);
	return j.code;
}

int stoker_template_render(const struct stoker_template *t, const struct stoker_vocabulary *v,
			   const struct stoker_template_input *input, struct stoker_prompt *prompt,
			   struct stoker_error *err)
{
	struct stoker_template_input own;
	locale_t before;
	int ret = check_prompt(prompt, err);

	if (ret)
		return ret;
	clear(prompt);
	if (!t || !input)
		return stoker_fail(err, -EINVAL, "rendering needs a %s",
				   !t ? "template" : "struct stoker_template_input");
	ret = SIZED_TAKE(&own, input, STOKER_TEMPLATE_INPUT_INIT, err);
	if (ret)
		return ret;
	if (own.count && !own.messages_json && (!own.messages || !is_item_size(own.message_size)))
		return stoker_fail(err, -EINVAL,
				   "rendering needs a list of messages and the size of one");
	before = c_locale_enter(); /* names of months, and numbers */
	ret = render(t, v, &own, prompt, err);
	c_locale_leave(before);
	return ret;
}

void stoker_prompt_free(struct stoker_prompt *prompt)
{
	if (check_prompt(prompt, NULL))
		return;
	free(prompt->text);
	free(prompt->spans);
	clear(prompt);
}
