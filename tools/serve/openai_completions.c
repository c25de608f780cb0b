// SPDX-License-Identifier: MIT
/* POST /v1/completions, the older API: texts that go on. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve/chat.h"
#include "serve/native.h"
#include "serve/openai.h"

struct completion {
	struct answers answers;
	struct chat_request request; /* without messages */
	char id[ID_BYTES];
	long long created;
	struct json_object *prompts; /* borrowed: a prompt, or @many of them */
	bool many, echo, echoed;
	const char *suffix;
	struct choice {
		struct text text;
		/* old log-probabilities, in JSON: parts of lists */
		struct text tokens, numbers, top, offsets;
		size_t spelled; /* bytes that tokens spelled */
		enum finish finish;
	} choices[CHOICES_MAX];
};

static void free_completion(void *context)
{
	struct completion *c = context;

	for (size_t i = 0; i < CHOICES_MAX; i++) {
		text_free(&c->choices[i].text);
		text_free(&c->choices[i].tokens);
		text_free(&c->choices[i].numbers);
		text_free(&c->choices[i].top);
		text_free(&c->choices[i].offsets);
	}
	chat_free(&c->request);
	answers_free(&c->answers);
	free(c);
}

/* --- prompts
 * ------------------------------------------------------------------------------------
 */

/* A list is several prompts, unless it is one of tokens. */
static bool take_prompts(struct completion *c, struct json_object *body, struct problem *p)
{
	struct json_object *prompt = field_of(body, "prompt"), *first;
	size_t count = 1;

	if (!prompt)
		return problem_set(p, 400, "prompt", NULL, "prompt is missing");
	if (json_object_is_type(prompt, json_type_array)) {
		first = json_object_array_get_idx(prompt, 0);
		c->many = first && !json_object_is_type(first, json_type_int);
		count = c->many ? json_object_array_length(prompt) : 1;
		if (!first)
			return problem_set(p, 400, "prompt", NULL, "prompt is empty");
	}
	c->prompts = prompt;
	c->answers.each = c->request.chosen.n;
	if (count * c->request.chosen.n > CHOICES_MAX)
		return problem_set(p, 400, "prompt", NULL,
				   "%zu prompts with %u choices each, limit %d together", count,
				   c->request.chosen.n, CHOICES_MAX);
	return true;
}

static struct json_object *prompt_of(const struct completion *c, size_t i)
{
	return c->many ? json_object_array_get_idx(c->prompts, i) : c->prompts;
}

/* Between the prompt and the suffix, where the model has tokens for that. */
static bool tokenize_gap(const struct completion *c, struct json_object *prompt,
			 struct chat_prompt *out, struct problem *p)
{
	const struct served *m = c->answers.model;
	struct json_object *gap = json_object_new_object();
	bool ok;

	json_object_object_add(gap, "input_prefix", json_object_get(prompt));
	json_object_object_add(gap, "input_suffix", json_object_new_string(c->suffix));
	ok = native_infill(served_vocabulary(m), gap, native_prompt_room(m, &c->request.chosen),
			   &out->tokens, &out->count, p);
	json_object_put(gap);
	if (!ok && p->status == 501)
		problem_set(p, 400, "suffix", NULL, "suffix: this model can't fill text in");
	return ok;
}

static bool tokenize(const struct completion *c, struct json_object *prompt,
		     struct chat_prompt *out, struct problem *p)
{
	const struct stoker_vocabulary *v = served_vocabulary(c->answers.model);
	int64_t begin;

	if (c->suffix && *c->suffix)
		return tokenize_gap(c, prompt, out, p);
	if (json_object_is_type(prompt, json_type_object))
		return value_wrong(p, "prompt", prompt, "a string or a list of tokens");
	if (!native_tokens(v, prompt, STOKER_TOKENIZE_ADD | STOKER_TOKENIZE_SPECIAL, &out->tokens,
			   &out->count, p))
		return false;
	if (out->count)
		return true;
	free(out->tokens);
	out->tokens = NULL;
	/* nothing to go on from is the beginning of a text */
	begin = stoker_vocabulary_special(v, STOKER_SPECIAL_BEGIN);
	if (begin < 0)
		begin = stoker_vocabulary_special(v, STOKER_SPECIAL_END);
	if (begin < 0)
		return problem_set(p, 400, "prompt", NULL, "prompt is empty");
	out->tokens = malloc(sizeof(*out->tokens));
	if (!out->tokens)
		return problem_set(p, 500, NULL, NULL, "out of memory");
	out->tokens[out->count++] = (uint32_t)begin;
	return true;
}

static bool start(struct completion *c, struct problem *p)
{
	const size_t count = c->many ? json_object_array_length(c->prompts) : 1;
	struct answers *a = &c->answers;
	bool ok = true;

	for (size_t i = 0; i < count && ok; i++) {
		struct chat_prompt prompt = { .text = NULL };

		/* what it gives on failure isn't there any more */
		if (!tokenize(c, prompt_of(c, i), &prompt, p))
			return false;
		ok = chat_start_prompt(a->x, a->model, &c->request, &prompt, a->g + a->count, p);
		a->count += ok ? c->request.chosen.n : 0;
		chat_prompt_free(&prompt);
	}
	return ok;
}

static void add_prompt(const struct completion *c, struct json_object *prompt, struct text *out)
{
	if (json_object_is_type(prompt, json_type_string))
		text_add(out, json_object_get_string(prompt),
			 (size_t)json_object_get_string_len(prompt));
	else
		token_text(c->answers.model, (uint32_t)json_object_get_int64(prompt), out);
}

/* The prompt of a choice as text. */
static void add_echo(const struct completion *c, size_t which, struct text *out)
{
	struct json_object *prompt = prompt_of(c, which / c->answers.each);

	if (!json_object_is_type(prompt, json_type_array)) {
		add_prompt(c, prompt, out);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(prompt); i++)
		add_prompt(c, json_object_array_get_idx(prompt, i), out);
}

/* --- what is written
 * ----------------------------------------------------------------------------
 */

static void write_head(const struct completion *c, struct text *out)
{
	text_puts(out, "{\"id\":");
	text_json_string(out, c->id);
	text_printf(out, ",\"object\":\"text_completion\",\"created\":%lld,\"model\":", c->created);
	text_json_string(out, served_name(c->answers.model));
	text_puts(out, ",\"system_fingerprint\":\"" OPENAI_FINGERPRINT "\"");
}

static void add_spelled(const struct completion *c, uint32_t token, struct text *out, size_t *bytes)
{
	struct text spelled = { .data = NULL };

	token_text(c->answers.model, token, &spelled);
	text_json(out, spelled.data, spelled.bytes);
	*bytes += spelled.bytes;
	text_free(&spelled);
}

/* One more token for the four lists. */
static void add_token(const struct completion *c, struct choice *to, const struct token_info *t)
{
	const char *comma = to->tokens.bytes ? "," : "";
	size_t unused = 0;

	text_printf(&to->offsets, "%s%zu", comma, to->spelled);
	text_puts(&to->tokens, comma);
	add_spelled(c, t->token, &to->tokens, &to->spelled);
	text_puts(&to->numbers, comma);
	openai_number(&to->numbers, (double)t->log_probability);
	text_printf(&to->top, "%s{", comma);
	for (unsigned i = 0; i < t->top_count; i++) {
		text_puts(&to->top, i ? "," : "");
		add_spelled(c, t->top[i].token, &to->top, &unused);
		text_puts(&to->top, ":");
		openai_number(&to->top, (double)t->top[i].log_probability);
	}
	text_puts(&to->top, "}");
}

/* The lists so far, which begin anew then. */
static void write_lists(struct choice *from, struct text *out)
{
	struct {
		const char *name;
		struct text *list;
	} lists[] = { { "tokens", &from->tokens },
		      { "token_logprobs", &from->numbers },
		      { "top_logprobs", &from->top },
		      { "text_offset", &from->offsets } };

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		text_printf(out, "%s\"%s\":[", i ? "," : "{", lists[i].name);
		text_add(out, lists[i].list->data, lists[i].list->bytes);
		text_puts(out, "]");
		text_clear(lists[i].list);
	}
	text_puts(out, "}");
}

static void write_choice(struct completion *c, size_t which, const char *text, size_t bytes,
			 const char *finish, struct text *out)
{
	struct choice *from = &c->choices[which];

	text_puts(out, "{\"text\":");
	text_json(out, text, bytes);
	text_printf(out, ",\"index\":%zu,\"logprobs\":", which);
	if (c->request.chosen.log_probabilities &&
	    (from->tokens.bytes || !c->request.chosen.stream))
		write_lists(from, out);
	else
		text_puts(out, "null");
	text_puts(out, ",\"finish_reason\":");
	text_json_string(out, finish);
	text_puts(out, "}");
}

static void write_chunk(struct completion *c, size_t which, const char *text, size_t bytes,
			const char *finish, struct text *out)
{
	openai_event_begin(out);
	write_head(c, out);
	text_puts(out, ",\"choices\":[");
	write_choice(c, which, text, bytes, finish, out);
	text_puts(out, c->request.chosen.include_usage ? "],\"usage\":null}" : "]}");
	openai_event_end(out);
}

static void write_figures(const struct completion *c, struct text *out)
{
	text_puts(out, ",\"usage\":");
	openai_usage(out, &c->answers.usage);
	text_puts(out, ",\"timings\":");
	openai_timings(out, &c->answers.timings);
	text_puts(out, "}");
}

/* --- streamed
 * -----------------------------------------------------------------------------------
 */

static void write_echoes(struct completion *c, struct text *out)
{
	for (size_t i = 0; i < c->answers.count; i++) {
		struct text echo = { .data = NULL };

		add_echo(c, i, &echo);
		write_chunk(c, i, echo.data, echo.bytes, NULL, out);
		text_free(&echo);
	}
}

static enum source_state next_chunks(void *context, struct text *out, int wait_ms)
{
	struct completion *c = context;
	struct piece piece;
	size_t which;

	if (c->echo && !c->echoed)
		write_echoes(c, out);
	c->echoed = true;
	while (answers_next(&c->answers, out->bytes ? 0 : wait_ms, &which, &piece)) {
		const bool end = piece.kind == PIECE_END;

		if (piece.kind == PIECE_NONE)
			return SOURCE_MORE;
		if (piece.kind == PIECE_FAILED) {
			openai_event_problem(out, &piece.problem);
			return SOURCE_END;
		}
		if (end && piece.finish == FINISH_CANCELED)
			return SOURCE_BROKEN;
		for (size_t i = 0; i < piece.token_count; i++)
			add_token(c, &c->choices[which], &piece.tokens[i]);
		write_chunk(c, which, end ? "" : piece.text, end ? 0 : piece.bytes,
			    end ? openai_finish(piece.finish) : NULL, out);
	}
	if (c->request.chosen.include_usage) {
		openai_event_begin(out);
		write_head(c, out);
		text_puts(out, ",\"choices\":[]");
		write_figures(c, out);
		openai_event_end(out);
	}
	text_puts(out, "data: [DONE]\n\n");
	return SOURCE_END;
}

/* --- at once
 * ------------------------------------------------------------------------------------
 */

static void collect(struct completion *c, struct problem *p)
{
	struct piece piece = { .kind = PIECE_NONE };
	size_t which;

	for (size_t i = 0; c->echo && i < c->answers.count; i++)
		add_echo(c, i, &c->choices[i].text);
	while (!p->status && answers_next(&c->answers, 1000, &which, &piece)) {
		struct choice *to = &c->choices[which];

		for (size_t i = 0; i < piece.token_count; i++)
			add_token(c, to, &piece.tokens[i]);
		if (piece.kind == PIECE_TEXT)
			text_add(&to->text, piece.text, piece.bytes);
		else if (piece.kind == PIECE_FAILED)
			*p = piece.problem;
		else if (piece.kind == PIECE_END && piece.finish == FINISH_CANCELED)
			problem_set(p, 503, NULL, NULL, "the request was canceled");
		else if (piece.kind == PIECE_END)
			to->finish = piece.finish;
	}
}

static void reply_at_once(struct exchange *x, struct completion *c)
{
	struct text out = { .data = NULL };
	struct problem p = { .status = 0 };

	exchange_watch(x, answers_cancel, &c->answers);
	collect(c, &p);
	exchange_watch(x, NULL, NULL);
	write_head(c, &out);
	text_puts(&out, ",\"choices\":[");
	for (size_t i = 0; i < c->answers.count; i++) {
		struct choice *from = &c->choices[i];

		text_puts(&out, i ? "," : "");
		out.failed |= from->text.failed | from->tokens.failed | from->numbers.failed |
			      from->top.failed | from->offsets.failed;
		write_choice(c, i, from->text.data, from->text.bytes, openai_finish(from->finish),
			     &out);
	}
	text_puts(&out, "]");
	write_figures(c, &out);
	if (!p.status && out.failed)
		problem_set(&p, 500, NULL, NULL, "out of memory");
	if (p.status)
		reply_problem(x, &p);
	else
		reply_text(x, 200, "application/json", out.data, out.bytes);
	text_free(&out);
}

/* --- both
 * ---------------------------------------------------------------------------------------
 */

static bool read_request(struct completion *c, struct json_object *body, struct problem *p)
{
	struct chosen *chosen = &c->request.chosen;
	int64_t best_of = 1;

	chat_begin(&c->request, c->answers.model);
	c->request.keep_tags = true;
	if (!fields_take(body, chosen, p) || !chat_format(body, &c->request, p) ||
	    !field_bool(body, "echo", &c->echo, p) || !field_text(body, "suffix", &c->suffix, p) ||
	    !field_int(body, "best_of", 1, CHOICES_MAX, &best_of, p))
		return false;
	if (best_of != 1 && best_of != chosen->n)
		return problem_set(p, 400, "best_of", NULL,
				   "best_of is %lld, but all of n (%u) are returned",
				   (long long)best_of, chosen->n);
	if (c->echo && chosen->log_probabilities)
		return problem_set(p, 400, "echo", NULL,
				   "echo doesn't go together with logprobs: those of a prompt "
				   "aren't computed");
	return take_prompts(c, body, p);
}

void openai_completions_post(struct exchange *x)
{
	struct completion *c = calloc(1, sizeof(*c));
	struct source s = { .next = next_chunks,
			    .ping = openai_ping,
			    .gone = answers_cancel, /* the first member */
			    .free = free_completion,
			    .context = c };
	struct problem p = { .status = 0 };

	if (!c) {
		problem_set(&p, 500, NULL, NULL, "out of memory");
		reply_problem(x, &p);
		return;
	}
	c->answers.x = x;
	if (!openai_model(x, &c->answers.model)) {
		free(c);
		return;
	}
	c->created = (long long)time(NULL);
	openai_id(c->id, "cmpl-");
	if (read_request(c, exchange_json(x), &p) && start(c, &p)) {
		if (c->request.chosen.stream) {
			reply_stream(x, "text/event-stream", &s);
			return;
		}
		reply_at_once(x, c);
	} else {
		reply_problem(x, &p);
	}
	free_completion(c);
}
