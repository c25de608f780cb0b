// SPDX-License-Identifier: MIT
/* An answer as Ollama's clients read it: lines of JSON, the last one with counts and times. */
#include "serve/ollama.h"

#include <stdio.h>
#include <time.h>

#include "serve/objects.h"
#include "serve/openai.h"

void ollama_time(char text[TIME_BYTES])
{
	struct timespec now;
	struct tm utc;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	n = strftime(text, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + n, TIME_BYTES - n, ".%09ldZ", now.tv_nsec);
}

static long long nanoseconds(double seconds)
{
	return (long long)(seconds * 1e9);
}

static void begin_line(const struct ollama_answer *a, struct text *out)
{
	char now[TIME_BYTES];

	ollama_time(now);
	text_puts(out, "{\"model\":");
	text_json_string(out, a->model);
	text_printf(out, ",\"created_at\":\"%s\",", now);
}

/* An answer's part: either of the texts may be empty, @calls may be NULL. */
static void write_part(const struct ollama_answer *a, const char *content, size_t bytes,
		       const char *thinking, size_t thinking_bytes, struct json_object *calls,
		       struct text *out)
{
	text_puts(out,
		  a->chat ? "\"message\":{\"role\":\"assistant\",\"content\":" : "\"response\":");
	text_json(out, content, bytes);
	if (thinking_bytes) {
		text_puts(out, ",\"thinking\":");
		text_json(out, thinking, thinking_bytes);
	}
	if (a->chat && calls) {
		text_puts(out, ",\"tool_calls\":");
		text_puts(out,
			  json_object_to_json_string_ext(
				  calls, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	}
	text_puts(out, a->chat ? "}," : ",");
}

/* Of the tokens of a piece, if they were asked for; a whole answer's are kept. */
static void tell_probabilities(struct ollama_answer *a, const struct piece *piece)
{
	if (!piece->token_count)
		return;
	text_puts(&a->told, a->told.bytes ? "," : "");
	openai_log_probabilities(&a->told, a->served, piece->tokens, piece->token_count);
}

static void write_told(struct ollama_answer *a, struct text *out)
{
	out->failed |= a->told.failed;
	if (!a->told.bytes)
		return;
	text_puts(out, "\"logprobs\":[");
	text_add(out, a->told.data, a->told.bytes);
	text_puts(out, "],");
	text_clear(&a->told);
}

/* The call that was being told is complete. */
static void finish_call(struct ollama_answer *a)
{
	if (!a->call)
		return;
	json_object_object_add(json_object_object_get(a->call, "function"), "arguments",
			       object_parse(&a->arguments));
	text_clear(&a->arguments);
	if (!a->calls)
		a->calls = json_object_new_array();
	json_object_array_add(a->calls, a->call);
	a->call = NULL;
}

static void begin_call(struct ollama_answer *a, const struct piece *piece)
{
	struct json_object *function = json_object_new_object();
	char id[ID_BYTES];

	openai_id(id, "call_");
	a->call = json_object_new_object();
	object_string(a->call, "id", piece->id ? piece->id : id);
	object_count(function, "index", piece->index);
	object_string(function, "name", piece->name);
	json_object_object_add(a->call, "function", function);
}

/* A line of its own for calls that are complete. */
static void flush_calls(struct ollama_answer *a, struct text *out)
{
	finish_call(a);
	if (!a->calls || a->whole)
		return;
	begin_line(a, out);
	write_part(a, "", 0, "", 0, a->calls, out);
	text_puts(out, "\"done\":false}\n");
	json_object_put(a->calls);
	a->calls = NULL;
}

static void write_text(struct ollama_answer *a, const struct piece *piece, struct text *out)
{
	const bool thinking = piece->kind == PIECE_REASONING;

	tell_probabilities(a, piece);
	if (!piece->bytes)
		return;
	if (a->whole) {
		text_add(thinking ? &a->thinking : &a->content, piece->text, piece->bytes);
		return;
	}
	flush_calls(a, out);
	begin_line(a, out);
	write_part(a, piece->text, thinking ? 0 : piece->bytes, piece->text,
		   thinking ? piece->bytes : 0, NULL, out);
	write_told(a, out);
	text_puts(out, "\"done\":false}\n");
}

static void finish(struct ollama_answer *a, const struct piece *end, struct text *out)
{
	const struct stoker_request_timings *t = &end->timings;

	flush_calls(a, out);
	out->failed |= a->content.failed || a->thinking.failed || a->arguments.failed;
	begin_line(a, out);
	write_part(a, a->content.data, a->content.bytes, a->thinking.data, a->thinking.bytes,
		   a->calls, out);
	write_told(a, out);
	text_printf(out, "\"done\":true,\"done_reason\":\"%s\",",
		    end->finish == FINISH_LENGTH ? "length" : "stop");
	if (a->context && !a->chat) {
		text_puts(out, "\"context\":");
		text_puts(out, json_object_to_json_string_ext(
				       a->context,
				       JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		text_puts(out, ",");
	}
	text_printf(out,
		    "\"total_duration\":%lld,\"load_duration\":%lld,\"prompt_eval_count\":%u,"
		    "\"prompt_eval_duration\":%lld,\"eval_count\":%u,\"eval_duration\":%lld}\n",
		    nanoseconds(a->load_seconds + t->queued + t->prefill + t->decode),
		    nanoseconds(a->load_seconds), end->usage.prompt, nanoseconds(t->prefill),
		    end->usage.generated, nanoseconds(t->decode));
}

void ollama_piece(struct ollama_answer *a, const struct piece *piece, struct text *out)
{
	switch (piece->kind) {
	case PIECE_TEXT:
	case PIECE_REASONING:
		write_text(a, piece, out);
		break;
	case PIECE_CALL:
		flush_calls(a, out);
		begin_call(a, piece);
		break;
	case PIECE_ARGUMENTS:
		text_add(&a->arguments, piece->text, piece->bytes);
		break;
	case PIECE_END:
		finish(a, piece, out);
		break;
	case PIECE_FAILED:
		problem_write(&piece->problem, DIALECT_OLLAMA, out);
		text_puts(out, "\n");
		break;
	case PIECE_NONE:
		break;
	}
}

void ollama_loaded(const struct ollama_answer *a, struct text *out)
{
	begin_line(a, out);
	write_part(a, "", 0, "", 0, NULL, out);
	text_puts(out, "\"done\":true,\"done_reason\":\"load\"}\n");
}

void ollama_free(struct ollama_answer *a)
{
	json_object_put(a->calls);
	json_object_put(a->call);
	json_object_put(a->context);
	text_free(&a->arguments);
	text_free(&a->content);
	text_free(&a->thinking);
	text_free(&a->told);
}
