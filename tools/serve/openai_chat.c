// SPDX-License-Identifier: MIT
/* POST /v1/chat/completions */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve/chat.h"
#include "serve/openai.h"

/* A reply while it is made: a stream of chunks, or one object at the end. */
struct completion {
	struct answers answers;
	char id[ID_BYTES];
	long long created;
	bool include_usage, log_probabilities;
	bool begun; /* roles were told */
	struct choice {
		struct text content, reasoning, calls, tokens;
		unsigned call_count;
		bool arguments; /* of a call are being written */
		enum finish finish;
	} choices[CHOICES_MAX]; /* of one that isn't streamed */
};

static void free_completion(void *context)
{
	struct completion *c = context;

	for (size_t i = 0; i < CHOICES_MAX; i++) {
		text_free(&c->choices[i].content);
		text_free(&c->choices[i].reasoning);
		text_free(&c->choices[i].calls);
		text_free(&c->choices[i].tokens);
	}
	answers_free(&c->answers);
	free(c);
}

static void write_head(const struct completion *c, const char *object, struct text *out)
{
	text_puts(out, "{\"id\":");
	text_json_string(out, c->id);
	text_printf(out, ",\"object\":\"%s\",\"created\":%lld,\"model\":", object, c->created);
	text_json_string(out, served_name(c->answers.model));
	text_puts(out, ",\"system_fingerprint\":\"" OPENAI_FINGERPRINT "\"");
}

/* A call without its arguments; models that have ids write them, others get
 * some. */
static void write_call(const struct piece *piece, struct text *out)
{
	char id[ID_BYTES];

	if (!piece->id)
		openai_id(id, "call_");
	text_puts(out, "\"id\":");
	text_json_string(out, piece->id ? piece->id : id);
	text_puts(out, ",\"type\":\"function\",\"function\":{\"name\":");
	text_json_string(out, piece->name);
	text_puts(out, ",\"arguments\":\"");
}

/* What a piece adds to strings of JSON: without the quotes around it. */
static void write_inside(const char *text, size_t bytes, struct text *out)
{
	const size_t begin = out->bytes;

	text_json(out, text, bytes);
	if (out->failed)
		return;
	memmove(out->data + begin, out->data + begin + 1, out->bytes - begin - 2);
	out->bytes -= 2;
	out->data[out->bytes] = 0;
}

/* --- streamed
 * -----------------------------------------------------------------------------------
 */

static void begin_chunk(const struct completion *c, size_t which, struct text *out)
{
	openai_event_begin(out);
	write_head(c, "chat.completion.chunk", out);
	text_printf(out, ",\"choices\":[{\"index\":%zu,\"delta\":", which);
}

/* Behind the delta. */
static void end_chunk(const struct completion *c, const char *finish, const struct piece *piece,
		      struct text *out)
{
	text_puts(out, ",\"logprobs\":");
	if (piece && piece->token_count) {
		text_puts(out, "{\"content\":[");
		openai_log_probabilities(out, c->answers.model, piece->tokens, piece->token_count);
		text_puts(out, "],\"refusal\":null}");
	} else {
		text_puts(out, "null");
	}
	text_puts(out, ",\"finish_reason\":");
	text_json_string(out, finish);
	text_puts(out, "}]");
	if (c->include_usage)
		text_puts(out, ",\"usage\":null");
	if (finish) {
		text_puts(out, ",\"timings\":");
		openai_timings(out, &piece->timings);
	}
	text_puts(out, "}");
	openai_event_end(out);
}

static void write_delta(const struct piece *piece, struct text *out)
{
	switch (piece->kind) {
	case PIECE_TEXT:
	case PIECE_REASONING:
		text_puts(out,
			  piece->kind == PIECE_TEXT ? "{\"content\":" : "{\"reasoning_content\":");
		text_json(out, piece->text, piece->bytes);
		text_puts(out, "}");
		break;
	case PIECE_CALL:
		text_printf(out, "{\"tool_calls\":[{\"index\":%u,", piece->index);
		write_call(piece, out);
		text_puts(out, "\"}}]}");
		break;
	case PIECE_ARGUMENTS:
		text_printf(out, "{\"tool_calls\":[{\"index\":%u,\"function\":{\"arguments\":",
			    piece->index);
		text_json(out, piece->text, piece->bytes);
		text_puts(out, "}}]}");
		break;
	default:
		text_puts(out, "{}");
		break;
	}
}

static void write_end(const struct completion *c, struct text *out)
{
	if (c->include_usage) {
		openai_event_begin(out);
		write_head(c, "chat.completion.chunk", out);
		text_puts(out, ",\"choices\":[],\"usage\":");
		openai_usage(out, &c->answers.usage);
		text_puts(out, ",\"timings\":");
		openai_timings(out, &c->answers.timings);
		text_puts(out, "}");
		openai_event_end(out);
	}
	text_puts(out, "data: [DONE]\n\n");
}

/* All that there is to say now, and waits for something if there is nothing. */
static enum source_state next_chunks(void *context, struct text *out, int wait_ms)
{
	struct completion *c = context;
	struct piece piece;
	size_t which;

	if (!c->begun) {
		for (which = 0; which < c->answers.count; which++) {
			begin_chunk(c, which, out);
			text_puts(out, "{\"role\":\"assistant\",\"content\":null}");
			end_chunk(c, NULL, NULL, out);
		}
		c->begun = true;
		return SOURCE_MORE;
	}
	while (answers_next(&c->answers, out->bytes ? 0 : wait_ms, &which, &piece)) {
		if (piece.kind == PIECE_NONE)
			return SOURCE_MORE;
		if (piece.kind == PIECE_FAILED) {
			openai_event_problem(out, &piece.problem);
			return SOURCE_END;
		}
		if (piece.kind == PIECE_END && piece.finish == FINISH_CANCELED)
			return SOURCE_BROKEN;
		begin_chunk(c, which, out);
		write_delta(&piece, out);
		end_chunk(c, piece.kind == PIECE_END ? openai_finish(piece.finish) : NULL, &piece,
			  out);
	}
	write_end(c, out);
	return SOURCE_END;
}

/* --- at once
 * ------------------------------------------------------------------------------------
 */

static void take_piece(struct completion *c, size_t which, const struct piece *piece)
{
	struct choice *to = &c->choices[which];

	if (piece->token_count) {
		text_puts(&to->tokens, to->tokens.bytes ? "," : "");
		openai_log_probabilities(&to->tokens, c->answers.model, piece->tokens,
					 piece->token_count);
	}
	switch (piece->kind) {
	case PIECE_TEXT:
		text_add(&to->content, piece->text, piece->bytes);
		break;
	case PIECE_REASONING:
		text_add(&to->reasoning, piece->text, piece->bytes);
		break;
	case PIECE_CALL:
		text_puts(&to->calls, to->call_count++ ? "\"}},{" : "{");
		write_call(piece, &to->calls);
		break;
	case PIECE_ARGUMENTS:
		write_inside(piece->text, piece->bytes, &to->calls);
		break;
	case PIECE_END:
		to->finish = piece->finish;
		break;
	default:
		break;
	}
}

static void write_choice(const struct completion *c, size_t which, struct text *out)
{
	const struct choice *from = &c->choices[which];

	text_printf(out, "{\"index\":%zu,\"message\":{\"role\":\"assistant\",\"content\":", which);
	if (from->content.bytes || !from->call_count)
		text_json(out, from->content.data, from->content.bytes);
	else
		text_puts(out, "null");
	text_puts(out, ",\"refusal\":null");
	if (from->reasoning.bytes) {
		text_puts(out, ",\"reasoning_content\":");
		text_json(out, from->reasoning.data, from->reasoning.bytes);
	}
	if (from->call_count) {
		text_puts(out, ",\"tool_calls\":[");
		text_add(out, from->calls.data, from->calls.bytes);
		text_puts(out, "\"}}]");
	}
	text_puts(out, "},\"logprobs\":");
	if (c->log_probabilities) {
		text_puts(out, "{\"content\":[");
		text_add(out, from->tokens.data, from->tokens.bytes);
		text_puts(out, "],\"refusal\":null}");
	} else {
		text_puts(out, "null");
	}
	text_puts(out, ",\"finish_reason\":");
	text_json_string(out, openai_finish(from->finish));
	text_puts(out, "}");
}

static void write_completion(const struct completion *c, struct text *out)
{
	write_head(c, "chat.completion", out);
	text_puts(out, ",\"choices\":[");
	for (size_t i = 0; i < c->answers.count; i++) {
		text_puts(out, i ? "," : "");
		write_choice(c, i, out);
	}
	text_puts(out, "],\"usage\":");
	openai_usage(out, &c->answers.usage);
	text_puts(out, ",\"timings\":");
	openai_timings(out, &c->answers.timings);
	text_puts(out, "}");
}

static void reply_at_once(struct exchange *x, struct completion *c)
{
	struct piece piece = { .kind = PIECE_NONE };
	struct text out = { .data = NULL };
	struct problem p = { .status = 0 };
	size_t which;

	exchange_watch(x, answers_cancel, &c->answers);
	while (!p.status && answers_next(&c->answers, 1000, &which, &piece)) {
		take_piece(c, which, &piece);
		if (piece.kind == PIECE_FAILED)
			p = piece.problem;
		else if (piece.kind == PIECE_END && piece.finish == FINISH_CANCELED)
			problem_set(&p, 503, NULL, NULL, "the request was canceled");
	}
	exchange_watch(x, NULL, NULL);
	if (!p.status) {
		write_completion(c, &out);
		for (size_t i = 0; i < c->answers.count; i++)
			out.failed |= c->choices[i].content.failed | c->choices[i].calls.failed |
				      c->choices[i].reasoning.failed | c->choices[i].tokens.failed;
		if (out.failed)
			problem_set(&p, 500, NULL, NULL, "out of memory");
	}
	if (p.status)
		reply_problem(x, &p);
	else
		reply_text(x, 200, "application/json", out.data, out.bytes);
	text_free(&out);
}

/* --- both
 * ---------------------------------------------------------------------------------------
 */

/* The reply of generations that have been started; takes over the reference to
 * the model. */
static void reply(struct exchange *x, struct completion *c, const struct chosen *chosen)
{
	const struct source s = { .next = next_chunks,
				  .ping = openai_ping,
				  .gone = answers_cancel, /* the first member */
				  .free = free_completion,
				  .context = c };

	c->include_usage = chosen->include_usage;
	c->log_probabilities = chosen->log_probabilities;
	c->created = (long long)time(NULL);
	openai_id(c->id, "chatcmpl-");
	if (chosen->stream) {
		reply_stream(x, "text/event-stream", &s);
		return;
	}
	reply_at_once(x, c);
	free_completion(c);
}

void openai_chat_post(struct exchange *x)
{
	struct completion *c = calloc(1, sizeof(*c));
	struct chat_request request;
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
	chat_begin(&request, c->answers.model);
	if (chat_read(exchange_json(x), &request, &p) &&
	    chat_start(x, c->answers.model, &request, c->answers.g, &p)) {
		c->answers.count = request.chosen.n;
		c->answers.tools = json_object_get(request.tools);
		reply(x, c, &request.chosen);
	} else {
		reply_problem(x, &p);
		free_completion(c);
	}
	chat_free(&request);
}
