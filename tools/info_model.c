// SPDX-License-Identifier: MIT
/*
 * stoker info FILE: what people want to know of a model before they run it.  It is gathered as
 * JSON, from which the text is written, so that both say the same.
 */
#include "info.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "terminal.h"

enum { FORMATS_MAX = 64, LINE_MAX_BYTES = 60 };

static void add_text(struct json_object *o, const char *key, const char *text, size_t bytes)
{
	json_object_object_add(o, key, json_object_new_string_len(text, (int)bytes));
}

static void add_number(struct json_object *o, const char *key, uint64_t number)
{
	json_object_object_add(o, key, json_object_new_int64((int64_t)number));
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && v ? json_object_get_string(v) : NULL;
}

static uint64_t number_of(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && v ? (uint64_t)json_object_get_int64(v) : 0;
}

/* A text of the file's, if it has it. */
static void add_key(struct json_object *o, const char *name, const struct stoker_gguf *g,
		    const char *key_name)
{
	const struct stoker_gguf_key *key = stoker_gguf_find(g, key_name);
	struct stoker_string s;

	if (key && !stoker_gguf_string(g, key, &s))
		add_text(o, name, s.data, s.length);
	else
		json_object_object_add(o, name, NULL);
}

struct share {
	const char *format;
	uint64_t bytes, parameters;
};

static int larger_first(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	return x->parameters < y->parameters ? 1 : -(x->parameters > y->parameters);
}

/* Of which formats the weights are. */
static void add_formats(struct json_object *root, const struct stoker_gguf *g)
{
	struct json_object *list = json_object_new_array();
	struct share shares[FORMATS_MAX] = { { 0 } };
	size_t count = 0;

	for (size_t i = 0; i < stoker_gguf_tensor_count(g); i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(g, i);
		const char *name = stoker_format_name(t->format);
		size_t s = 0;

		while (s < count && strcmp(shares[s].format, name) != 0)
			s++;
		if (s == FORMATS_MAX)
			continue;
		if (s == count)
			shares[count++] = (struct share){ .format = name };
		shares[s].bytes += t->bytes;
		shares[s].parameters += t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
	}
	qsort(shares, count, sizeof(*shares), larger_first);
	for (size_t s = 0; s < count; s++) {
		struct json_object *o = json_object_new_object();

		add_text(o, "format", shares[s].format, strlen(shares[s].format));
		add_number(o, "parameters", shares[s].parameters);
		add_number(o, "bytes", shares[s].bytes);
		json_object_array_add(list, o);
	}
	json_object_object_add(root, "formats", list);
}

/* Whether a short conversation can be written with it; @err says why not. */
static bool can_render(const struct stoker_template *t, const struct stoker_vocabulary *v,
		       struct stoker_error *err)
{
	const struct stoker_message message = { .role = "user", .content = "Hello" };
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
						     .message_size = sizeof(struct stoker_message),
						     .messages = &message, .count = 1,
						     .answer = 1 };
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT, .text = NULL };
	const bool can = !stoker_template_render(t, v, &input, &prompt, err);

	stoker_prompt_free(&prompt);
	return can;
}

/* That of the library's own which has the same text. */
static const char *bundled_name(const char *source)
{
	const char *name;

	for (size_t i = 0; (name = stoker_template_bundled_name(i)); i++)
		if (!strcmp(stoker_template_bundled(name), source))
			return name;
	return NULL;
}

static void add_template(struct json_object *root, const struct stoker_gguf *g,
			 const struct stoker_vocabulary *v)
{
	const struct stoker_gguf_key *key = stoker_gguf_find(g, "tokenizer.chat_template");
	struct json_object *o = json_object_new_object();
	struct stoker_template *t = NULL;
	struct stoker_error err = { "" };
	struct stoker_string s = { "", 0 };
	const char *same;
	bool can;

	json_object_object_add(root, "template", NULL);
	if (!key || stoker_gguf_string(g, key, &s)) {
		json_object_put(o);
		return;
	}
	can = !stoker_template_load(v, NULL, &t, &err) && can_render(t, v, &err);
	same = t ? bundled_name(stoker_template_source(t)) : NULL;
	json_object_object_add(o, "name", same ? json_object_new_string(same) : NULL);
	add_number(o, "bytes", s.length);
	while (s.length && strchr(" \t\r\n", *s.data)) {
		s.data++;
		s.length--;
	}
	for (size_t n = 0; n < s.length; n++)
		if (s.data[n] == '\n')
			s.length = n;
	add_text(o, "first_line", s.data, s.length);
	json_object_object_add(o, "runs", json_object_new_boolean(can));
	json_object_object_add(o, "problem", can ? NULL : json_object_new_string(err.message));
	stoker_template_free(&t);
	json_object_object_add(root, "template", o);
}

static void add_tokenizer(struct json_object *root, struct stoker_gguf *g)
{
	struct json_object *o = json_object_new_object();
	struct stoker_vocabulary *v = NULL;
	struct stoker_error err;
	const int ret = stoker_vocabulary_load_gguf(g, &v, &err);
	const char *problem = ret ? err.message : stoker_vocabulary_warning(v, 0);

	add_key(o, "kind", g, "tokenizer.ggml.model");
	add_key(o, "pre", g, "tokenizer.ggml.pre");
	add_number(o, "tokens", ret ? 0 : stoker_vocabulary_size(v));
	json_object_object_add(o, "works", json_object_new_boolean(!ret));
	json_object_object_add(o, "problem", problem ? json_object_new_string(problem) : NULL);
	json_object_object_add(root, "tokenizer", o);
	if (v)
		add_template(root, g, v);
	else
		json_object_object_add(root, "template", NULL);
	stoker_vocabulary_free(&v);
}

/* Whether and how it runs on the device. */
static int add_outlook(struct json_object *root, const struct info_options *o,
		       struct stoker_gguf *g)
{
	struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT,
						 .context = (uint32_t)o->context };
	struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT, .session = &session };
	struct json_object *memory = json_object_new_object();
	struct stoker_model_outlook l = { STOKER_MODEL_OUTLOOK_INIT };
	struct stoker_device *device = NULL;
	struct stoker_error err;
	double rate = 0;
	int ret, status;

	json_object_object_add(root, "memory", memory);
	if (parse_kv(&o->kv, &session) || memory_budget(&o->compute, &params.memory))
		return EXIT_USAGE;
	status = open_device(&o->compute, &device);
	if (status)
		return status;
	ret = stoker_model_foresee(device, g, &params, &l, &err);
	json_object_object_add(root, "device",
			       json_object_new_string(stoker_device_description(device)));
	json_object_object_add(root, "runs", json_object_new_boolean(!ret));
	json_object_object_add(root, "paged", json_object_new_boolean(l.paged));
	json_object_object_add(root, "problem", ret ? json_object_new_string(err.message) : NULL);
	add_number(root, "parameters", l.parameters);
	add_number(root, "layers", l.layers);
	add_number(root, "experts", l.experts);
	add_number(root, "experts_used", l.experts_used);
	add_number(root, "trained_context", l.trained_context);
	add_number(memory, "context", l.context);
	add_number(memory, "whole_bytes", l.whole);
	add_number(memory, "least_bytes", l.least);
	add_number(memory, "left_bytes", l.left);
	add_number(memory, "weights_bytes", l.weights);
	add_number(memory, "cache_bytes", l.cache);
	add_number(memory, "buffer_bytes", l.buffers);
	if (!ret && l.least)
		rate = planned_rate(o->model, !l.paged				  ? l.whole
					      : params.memory > STOKER_MEMORY_MIN ? params.memory
					      : params.memory			  ? l.memory_min
							      : l.left / 16 * 15);
	json_object_object_add(root, "planned_tokens_per_second",
			       rate > 0 ? json_object_new_double(rate) : NULL);
	stoker_device_close(&device);
	return EXIT_OK;
}

static void print_row(const char *name, const char *text)
{
	printf("%-11s", name);
	show_text(stdout, text, strlen(text));
	putchar('\n');
}

static void print_formats(struct json_object *root)
{
	struct json_object *list = json_object_object_get(root, "formats");
	const size_t count = json_object_array_length(list);
	uint64_t all = 0, bytes = 0;

	for (size_t i = 0; i < count; i++) {
		all += number_of(json_object_array_get_idx(list, i), "parameters");
		bytes += number_of(json_object_array_get_idx(list, i), "bytes");
	}
	if (!all)
		return;
	fputs("formats    ", stdout);
	for (size_t i = 0; i < count; i++) {
		struct json_object *f = json_object_array_get_idx(list, i);

		printf("%s%s %.3g %%", i ? ", " : "", text_of(f, "format"),
		       100.0 * (double)number_of(f, "parameters") / (double)all);
	}
	printf("; %.2f bits a weight\n", 8.0 * (double)bytes / (double)all);
}

static void print_template(struct json_object *root)
{
	struct json_object *t = json_object_object_get(root, "template");
	const char *problem, *name;

	if (!t) {
		print_row("template", "none; run --chat needs --template NAME");
		return;
	}
	problem = text_of(t, "problem");
	name = text_of(t, "name");
	printf("template   the file's own, %llu bytes, %s%s: ",
	       (unsigned long long)number_of(t, "bytes"), name ? name : "it begins",
	       name ? ", it begins" : "");
	const char *line = text_of(t, "first_line");
	const size_t n = progress_fit(line, LINE_MAX_BYTES);

	show_text(stdout, line, n);
	puts(line[n] ? "..." : "");
	if (problem) {
		fputs("           it can't be run: ", stdout);
		show_text(stdout, problem, strlen(problem));
		putchar('\n');
	}
}

static void print_memory(struct json_object *root, struct json_object *memory)
{
	const uint64_t least = number_of(memory, "least_bytes");
	char a[16], b[16], c[16], d[16];

	printf("memory     %s with all of it: weights %s, cache for %llu positions %s, the rest "
	       "%s\n",
	       human_size(number_of(memory, "whole_bytes"), a),
	       human_size(number_of(memory, "weights_bytes"), b),
	       (unsigned long long)number_of(memory, "context"),
	       human_size(number_of(memory, "cache_bytes"), c),
	       human_size(number_of(memory, "buffer_bytes"), d));
	if (least)
		printf("           %s at least, with experts on the drive\n", human_size(least, a));
	if (number_of(memory, "left_bytes"))
		printf("           %s left on %s\n", human_size(number_of(memory, "left_bytes"), a),
		       text_of(root, "device"));
}

static void print_verdict(struct json_object *root)
{
	struct json_object *rate = json_object_object_get(root, "planned_tokens_per_second");
	const bool paged = json_object_get_boolean(json_object_object_get(root, "paged"));

	if (!json_object_get_boolean(json_object_object_get(root, "runs"))) {
		fputs("runs here  no: ", stdout);
		show_text(stdout, text_of(root, "problem"), strlen(text_of(root, "problem")));
		putchar('\n');
		return;
	}
	printf("runs here  yes, %s\n",
	       paged ? "with experts on the drive" : "with everything in memory");
	if (rate)
		printf("speed      %.1f tokens/s, as \"stoker plan\" measured\n",
		       json_object_get_double(rate));
	else
		print_row("speed", number_of(json_object_object_get(root, "memory"), "least_bytes")
					   ? "\"stoker plan FILE\" measures it"
					   : "\"stoker bench model FILE\" measures it");
}

static void print_text(struct json_object *root)
{
	struct json_object *memory = json_object_object_get(root, "memory");
	struct json_object *tokenizer = json_object_object_get(root, "tokenizer");
	const char *name = text_of(root, "name"), *pre = text_of(tokenizer, "pre");
	const char *kind = text_of(tokenizer, "kind"), *problem = text_of(tokenizer, "problem");
	const char *architecture = text_of(root, "architecture");
	char size[16], line[200];
	bool works;

	snprintf(line, sizeof(line), "%s, %s in %llu file%s", file_name(text_of(root, "file")),
		 human_size(number_of(root, "bytes"), size),
		 (unsigned long long)number_of(root, "files"),
		 number_of(root, "files") == 1 ? "" : "s");
	print_row("file", line);
	snprintf(line, sizeof(line), "%s%s%s%s", architecture ? architecture : "of no architecture",
		 name ? ", \"" : "", name ? name : "", name ? "\"" : "");
	print_row("model", line);
	if (number_of(root, "parameters")) {
		const double n = (double)number_of(root, "parameters");

		printf("           %.4g %s parameters in %llu layer%s",
		       n < 1e6	 ? n / 1e3
		       : n < 1e9 ? n / 1e6
				 : n / 1e9,
		       n < 1e6	 ? "thousand"
		       : n < 1e9 ? "million"
				 : "billion",
		       (unsigned long long)number_of(root, "layers"),
		       number_of(root, "layers") == 1 ? "" : "s");
		if (number_of(root, "experts"))
			printf(", %llu of %llu experts for a token",
			       (unsigned long long)number_of(root, "experts_used"),
			       (unsigned long long)number_of(root, "experts"));
		putchar('\n');
	}
	print_formats(root);
	if (number_of(root, "trained_context"))
		printf("context    %llu tokens\n",
		       (unsigned long long)number_of(root, "trained_context"));
	snprintf(line, sizeof(line), "%s%s%s, %llu tokens", kind ? kind : "none", pre ? ", " : "",
		 pre ? pre : "", (unsigned long long)number_of(tokenizer, "tokens"));
	works = json_object_get_boolean(json_object_object_get(tokenizer, "works"));
	print_row("tokenizer", works ? line : problem);
	if (works && problem)
		print_row("", problem);
	print_template(root);
	if (number_of(memory, "whole_bytes"))
		print_memory(root, memory);
	print_verdict(root);
}

int info_model(const struct info_options *o)
{
	struct json_object *root = json_object_new_object();
	struct stoker_gguf *g = NULL;
	struct stoker_error err;
	int status;

	if (stoker_gguf_open(o->model, &g, &err)) {
		json_object_put(root);
		return fail(&err);
	}
	add_text(root, "file", o->model, strlen(o->model));
	add_number(root, "files", stoker_gguf_file_count(g));
	add_number(root, "bytes", model_bytes(g, NULL));
	add_key(root, "architecture", g, "general.architecture");
	add_key(root, "name", g, "general.name");
	add_formats(root, g);
	add_tokenizer(root, g);
	status = add_outlook(root, o, g);
	stoker_gguf_close(&g);
	if (!status && o->json)
		return print_json(stdout, root);
	if (!status)
		print_text(root);
	json_object_put(root);
	return status;
}
