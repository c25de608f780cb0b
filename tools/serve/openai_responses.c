// SPDX-License-Identifier: MIT
/*
 * POST /v1/responses.  An answer is a list of items, and a stream tells how they come about: the
 * same steps are gone through where nobody listens to them.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve/openai.h"
#include "serve/responses.h"

enum item_kind { ITEM_MESSAGE, ITEM_REASONING, ITEM_CALL };

struct item {
	enum item_kind kind;
	char id[ID_BYTES], call_id[ID_BYTES];
	struct text name, text; /* of a call; what was said, or its arguments */
	struct text tokens;	/* log-probabilities */
	bool cut;		/* there was no room for more */
};

struct response {
	struct answers answers;
	struct json_object *body; /* of the exchange */
	struct chosen chosen;	  /* numbers alone, to be told */
	char id[ID_BYTES];
	long long created;
	struct item *items;
	size_t count;
	bool open;	     /* the last item may get more */
	struct text *events; /* where they go; NULL: nobody listens */
	unsigned sequence;
	bool begun, no_memory;
};

static void free_response(void *context)
{
	struct response *r = context;

	for (size_t i = 0; i < r->count; i++) {
		text_free(&r->items[i].name);
		text_free(&r->items[i].text);
		text_free(&r->items[i].tokens);
	}
	free(r->items);
	answers_free(&r->answers);
	free(r);
}

/* --- items --------------------------------------------------------------------------------------
 */

static void write_part(const struct item *item, bool text, struct text *out)
{
	if (item->kind == ITEM_REASONING) {
		text_puts(out, "{\"type\":\"summary_text\",\"text\":");
		text_json(out, item->text.data, text ? item->text.bytes : 0);
	} else {
		text_puts(out, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[");
		text_add(out, item->tokens.data, text ? item->tokens.bytes : 0);
		text_puts(out, "],\"text\":");
		text_json(out, item->text.data, text ? item->text.bytes : 0);
	}
	text_puts(out, "}");
}

static void write_item(const struct item *item, bool done, struct text *out)
{
	const char *status = !done ? "in_progress" : item->cut ? "incomplete" : "completed";

	text_printf(out, "{\"id\":\"%s\",\"status\":\"%s\",", item->id, status);
	if (item->kind == ITEM_CALL) {
		text_puts(out, "\"type\":\"function_call\",\"call_id\":");
		text_json_string(out, item->call_id);
		text_puts(out, ",\"name\":");
		text_json(out, item->name.data, item->name.bytes);
		text_puts(out, ",\"arguments\":");
		text_json(out, item->text.data, done ? item->text.bytes : 0);
		text_puts(out, "}");
		return;
	}
	if (item->kind == ITEM_MESSAGE)
		text_puts(out, "\"type\":\"message\",\"role\":\"assistant\",\"content\":[");
	else
		text_puts(out, "\"type\":\"reasoning\",\"summary\":[");
	if (done)
		write_part(item, true, out);
	text_puts(out, "]}");
}

/* --- the response -------------------------------------------------------------------------------
 */

/* What the request said comes back, or what holds where it said nothing. */
static void write_said(const struct response *r, const char *name, const char *otherwise,
		       struct text *out)
{
	struct json_object *value = field_of(r->body, name);

	text_printf(out, ",\"%s\":%s", name,
		    value ? json_object_to_json_string_ext(
				    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
			  : otherwise);
}

static void write_settings(const struct response *r, struct text *out)
{
	static const struct {
		const char *name, *otherwise;
	} said[] = { { "instructions", "null" },
		     { "max_output_tokens", "null" },
		     { "metadata", "{}" },
		     { "parallel_tool_calls", "true" },
		     { "reasoning", "{\"effort\":null,\"summary\":null}" },
		     { "text", "{\"format\":{\"type\":\"text\"}}" },
		     { "tool_choice", "\"auto\"" },
		     { "tools", "[]" },
		     { "truncation", "\"disabled\"" },
		     { "user", "null" } };

	text_puts(out, ",\"background\":false,\"previous_response_id\":null,\"store\":false");
	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++)
		write_said(r, said[i].name, said[i].otherwise, out);
	text_puts(out, ",\"temperature\":");
	openai_number(out, (double)r->chosen.sampling.temperature);
	text_puts(out, ",\"top_p\":");
	openai_number(out, (double)r->chosen.sampling.top_p);
}

static void write_usage(const struct token_usage *u, struct text *out)
{
	text_printf(out,
		    "{\"input_tokens\":%u,\"input_tokens_details\":{\"cached_tokens\":%u},"
		    "\"output_tokens\":%u,\"output_tokens_details\":{\"reasoning_tokens\":%u},"
		    "\"total_tokens\":%llu}",
		    u->prompt, u->cached, u->generated, u->reasoning,
		    (unsigned long long)u->prompt + u->generated);
}

/* @status: "in_progress", "completed", "incomplete", "failed" with what is wrong in @p */
static void write_response(const struct response *r, const char *status, const struct problem *p,
			   struct text *out)
{
	const bool running = !strcmp(status, "in_progress");

	text_printf(out,
		    "{\"id\":\"%s\",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\","
		    "\"error\":",
		    r->id, r->created, status);
	if (p) {
		text_puts(out, "{\"code\":\"server_error\",\"message\":");
		text_json_string(out, p->message);
		text_puts(out, "}");
	} else {
		text_puts(out, "null");
	}
	text_printf(out, ",\"incomplete_details\":%s,\"model\":",
		    strcmp(status, "incomplete") ? "null" : "{\"reason\":\"max_output_tokens\"}");
	text_json_string(out, served_name(r->answers.model));
	text_puts(out, ",\"output\":[");
	for (size_t i = 0; !running && i < r->count; i++) {
		text_puts(out, i ? "," : "");
		write_item(&r->items[i], true, out);
	}
	text_puts(out, "]");
	write_settings(r, out);
	text_puts(out, ",\"usage\":");
	if (running)
		text_puts(out, "null");
	else
		write_usage(&r->answers.usage, out);
	text_puts(out, "}");
}

/* --- events -------------------------------------------------------------------------------------
 */

/* What the event is about follows; false: nobody listens. */
static bool begin_event(struct response *r, const char *type)
{
	if (!r->events)
		return false;
	text_printf(r->events, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%u", type,
		    type, r->sequence++);
	return true;
}

static void end_event(struct response *r)
{
	text_puts(r->events, "}\n\n");
}

static void tell_response(struct response *r, const char *type, const char *status,
			  const struct problem *p)
{
	if (!begin_event(r, type))
		return;
	text_puts(r->events, ",\"response\":");
	write_response(r, status, p, r->events);
	end_event(r);
}

static void tell_item(struct response *r, const char *type, bool done)
{
	if (!begin_event(r, type))
		return;
	text_printf(r->events, ",\"output_index\":%zu,\"item\":", r->count - 1);
	write_item(&r->items[r->count - 1], done, r->events);
	end_event(r);
}

/* An event about the last item's only part. */
static bool begin_part_event(struct response *r, const char *type)
{
	const struct item *item = &r->items[r->count - 1];

	if (!begin_event(r, type))
		return false;
	text_printf(r->events, ",\"item_id\":\"%s\",\"output_index\":%zu", item->id, r->count - 1);
	if (item->kind == ITEM_MESSAGE)
		text_puts(r->events, ",\"content_index\":0");
	else if (item->kind == ITEM_REASONING)
		text_puts(r->events, ",\"summary_index\":0");
	return true;
}

static void tell_part(struct response *r, const char *type, bool done)
{
	if (!begin_part_event(r, type))
		return;
	text_puts(r->events, ",\"part\":");
	write_part(&r->items[r->count - 1], done, r->events);
	end_event(r);
}

static const struct {
	const char *prefix, *delta, *done, *whole, *part_added, *part_done;
} names[] = {
	[ITEM_MESSAGE] = { "msg_", "response.output_text.delta", "response.output_text.done",
			   "text", "response.content_part.added", "response.content_part.done" },
	[ITEM_REASONING] = { "rs_", "response.reasoning_summary_text.delta",
			     "response.reasoning_summary_text.done", "text",
			     "response.reasoning_summary_part.added",
			     "response.reasoning_summary_part.done" },
	[ITEM_CALL] = { "fc_", "response.function_call_arguments.delta",
			"response.function_call_arguments.done", "arguments", NULL, NULL },
};

/* The last item has got all that belongs to it. */
static void close_item(struct response *r, bool cut)
{
	struct item *item;

	if (!r->open)
		return;
	r->open = false;
	item = &r->items[r->count - 1];
	item->cut = cut;
	if (begin_part_event(r, names[item->kind].done)) {
		if (item->kind == ITEM_CALL) {
			text_puts(r->events, ",\"name\":");
			text_json(r->events, item->name.data, item->name.bytes);
		} else if (item->kind == ITEM_MESSAGE) {
			text_puts(r->events, ",\"logprobs\":[");
			text_add(r->events, item->tokens.data, item->tokens.bytes);
			text_puts(r->events, "]");
		}
		text_printf(r->events, ",\"%s\":", names[item->kind].whole);
		text_json(r->events, item->text.data, item->text.bytes);
		end_event(r);
	}
	if (names[item->kind].part_done)
		tell_part(r, names[item->kind].part_done, true);
	tell_item(r, "response.output_item.done", true);
}

/* NULL without memory */
static struct item *open_item(struct response *r, enum item_kind kind, const struct piece *piece)
{
	struct item *more = realloc(r->items, (r->count + 1) * sizeof(*more)), *item;

	if (!more)
		return NULL;
	r->items = more;
	item = &r->items[r->count++];
	*item = (struct item){ .kind = kind };
	openai_id(item->id, names[kind].prefix);
	if (kind == ITEM_CALL) {
		text_puts(&item->name, piece->name);
		if (piece->id && strlen(piece->id) < ID_BYTES)
			strcpy(item->call_id, piece->id);
		else
			openai_id(item->call_id, "call_");
	}
	r->open = true;
	tell_item(r, "response.output_item.added", false);
	if (names[kind].part_added)
		tell_part(r, names[kind].part_added, false);
	return item;
}

/* The item that a piece belongs to: the last one, or a new one. */
static struct item *item_for(struct response *r, const struct piece *piece)
{
	const enum item_kind kind = piece->kind == PIECE_TEXT	     ? ITEM_MESSAGE
				    : piece->kind == PIECE_REASONING ? ITEM_REASONING
								     : ITEM_CALL;

	if (r->open && piece->kind != PIECE_CALL && r->items[r->count - 1].kind == kind)
		return &r->items[r->count - 1];
	close_item(r, false);
	return open_item(r, kind, piece);
}

static void take_piece(struct response *r, const struct piece *piece)
{
	struct text tokens = { .data = NULL };
	struct item *item;

	if (piece->kind == PIECE_NONE || piece->kind == PIECE_END)
		return;
	item = item_for(r, piece);
	if (!item) {
		r->no_memory = true;
		return;
	}
	if (piece->kind == PIECE_CALL)
		return;
	text_add(&item->text, piece->text, piece->bytes);
	if (item->kind == ITEM_MESSAGE)
		openai_log_probabilities(&tokens, r->answers.model, piece->tokens,
					 piece->token_count);
	if (tokens.bytes) {
		text_puts(&item->tokens, item->tokens.bytes ? "," : "");
		text_add(&item->tokens, tokens.data, tokens.bytes);
	}
	if (begin_part_event(r, names[item->kind].delta)) {
		text_puts(r->events, ",\"delta\":");
		text_json(r->events, piece->text, piece->bytes);
		if (item->kind == ITEM_MESSAGE)
			text_printf(r->events, ",\"logprobs\":[%s]",
				    tokens.data ? tokens.data : "");
		end_event(r);
	}
	r->no_memory |= item->text.failed | item->tokens.failed | tokens.failed;
	text_free(&tokens);
}

/* --- both ways ----------------------------------------------------------------------------------
 */

/* One step; false: it was the last one.  @p: what went wrong. */
static bool step(struct response *r, int wait_ms, const char **status, struct problem *p)
{
	struct piece piece;
	size_t which;

	if (!answers_next(&r->answers, wait_ms, &which, &piece))
		return false;
	take_piece(r, &piece);
	if (r->no_memory)
		return problem_set(p, 500, NULL, NULL, "out of memory");
	if (piece.kind == PIECE_FAILED)
		*p = piece.problem;
	if (piece.kind == PIECE_END && piece.finish == FINISH_CANCELED)
		problem_set(p, 503, NULL, NULL, "the request was canceled");
	if (piece.kind == PIECE_END && !p->status) {
		const bool cut = piece.finish == FINISH_LENGTH;

		close_item(r, cut);
		*status = cut ? "incomplete" : "completed";
	}
	return piece.kind != PIECE_END && piece.kind != PIECE_FAILED && piece.kind != PIECE_NONE;
}

static enum source_state next_events(void *context, struct text *out, int wait_ms)
{
	struct response *r = context;
	struct problem p = { .status = 0 };
	const char *status = NULL;

	r->events = out;
	if (!r->begun) {
		r->begun = true;
		tell_response(r, "response.created", "in_progress", NULL);
		tell_response(r, "response.in_progress", "in_progress", NULL);
		return SOURCE_MORE;
	}
	while (step(r, out->bytes ? 0 : wait_ms, &status, &p))
		;
	if (p.status) {
		tell_response(r, "response.failed", "failed", &p);
		return SOURCE_END;
	}
	if (!status)
		return SOURCE_MORE;
	tell_response(r, *status == 'i' ? "response.incomplete" : "response.completed", status,
		      NULL);
	return SOURCE_END;
}

static void reply_at_once(struct exchange *x, struct response *r)
{
	struct text out = { .data = NULL };
	struct problem p = { .status = 0 };
	const char *status = NULL;

	exchange_watch(x, answers_cancel, &r->answers);
	while (!status && !p.status)
		step(r, 1000, &status, &p);
	exchange_watch(x, NULL, NULL);
	if (!p.status)
		write_response(r, status, NULL, &out);
	if (out.failed)
		problem_set(&p, 500, NULL, NULL, "out of memory");
	if (p.status)
		reply_problem(x, &p);
	else
		reply_text(x, 200, "application/json", out.data, out.bytes);
	text_free(&out);
}

static void reply(struct exchange *x, struct response *r, const struct chat_request *request)
{
	const struct source s = { .next = next_events,
				  .ping = openai_ping,
				  .gone = answers_cancel, /* the first member */
				  .free = free_response,
				  .context = r };

	r->body = exchange_json(x);
	r->chosen = request->chosen;
	r->created = (long long)time(NULL);
	openai_id(r->id, "resp_");
	r->answers.count = 1;
	r->answers.tools = json_object_get(request->tools);
	if (request->chosen.stream) {
		reply_stream(x, "text/event-stream", &s);
		return;
	}
	reply_at_once(x, r);
	free_response(r);
}

void openai_responses_post(struct exchange *x)
{
	struct response *r = calloc(1, sizeof(*r));
	struct chat_request request;
	struct problem p = { .status = 0 };

	if (!r) {
		problem_set(&p, 500, NULL, NULL, "out of memory");
		reply_problem(x, &p);
		return;
	}
	r->answers.x = x;
	if (!openai_model(x, &r->answers.model)) {
		free(r);
		return;
	}
	chat_begin(&request, r->answers.model);
	if (responses_read(exchange_json(x), &request, &p) &&
	    chat_start(x, r->answers.model, &request, r->answers.g, &p)) {
		reply(x, r, &request);
	} else {
		reply_problem(x, &p);
		free_response(r);
	}
	chat_free(&request);
}
