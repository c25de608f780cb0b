// SPDX-License-Identifier: MIT
/* An answer of /completion and /infill, as llama-server's clients read it. */
#include <string.h>

#include "serve/native.h"
#include "serve/objects.h"
#include "serve/openai.h"

static void add_ids(const struct piece *piece, struct text *out)
{
	for (size_t i = 0; i < piece->token_count; i++)
		text_printf(out, "%s%u", out->bytes ? "," : "", piece->tokens[i].token);
}

static void add_told(const struct native_answer *a, const struct piece *piece, struct text *out)
{
	if (!a->probabilities || !piece->token_count)
		return;
	text_puts(out, out->bytes ? "," : "");
	openai_log_probabilities(out, a->model, piece->tokens, piece->token_count);
}

static const char *stop_type(const struct piece *end)
{
	if (end->finish == FINISH_LENGTH)
		return "limit";
	return end->stop ? "word" : "eos";
}

/* What pieces and the end have; without a closing brace. */
static void write_head(const struct native_answer *a, const struct text *content,
		       const struct text *tokens, const struct token_usage *usage, struct text *out)
{
	text_printf(out, "{\"index\":%u,\"content\":", a->index);
	text_json(out, content->data, content->bytes);
	text_puts(out, ",\"tokens\":[");
	if (tokens->bytes && a->return_tokens)
		text_add(out, tokens->data, tokens->bytes);
	text_printf(out, "],\"id_slot\":-1,\"tokens_predicted\":%u,\"tokens_evaluated\":%u",
		    usage->generated, usage->prompt);
}

static void write_told(const struct text *told, struct text *out)
{
	if (!told->bytes)
		return;
	text_puts(out, ",\"completion_probabilities\":[");
	text_add(out, told->data, told->bytes);
	text_puts(out, "]");
}

static void finish(struct native_answer *a, const struct piece *end, struct text *out)
{
	out->failed |= a->content.failed || a->tokens.failed || a->told.failed || a->prompt.failed;
	text_puts(out, a->whole ? "" : "data: ");
	write_head(a, &a->content, &a->tokens, &end->usage, out);
	text_puts(out, ",\"stop\":true,\"model\":");
	text_json_string(out, a->model ? served_name(a->model) : NULL);
	if (a->settings) {
		text_puts(out, ",\"generation_settings\":");
		text_puts(out, json_object_to_json_string_ext(a->settings, JSON_C_TO_STRING_PLAIN));
	}
	text_puts(out, ",\"prompt\":");
	text_json(out, a->prompt.data, a->prompt.bytes);
	text_printf(out,
		    ",\"has_new_line\":%s,\"truncated\":false,\"stop_type\":\"%s\","
		    "\"stopping_word\":",
		    a->new_line ? "true" : "false", stop_type(end));
	text_json_string(out, end->stop ? end->stop : "");
	text_printf(out, ",\"tokens_cached\":%u,", end->usage.cached);
	text_puts(out, "\"timings\":");
	openai_timings(out, &end->timings);
	write_told(&a->told, out);
	text_puts(out, a->whole ? "}" : "}\n\n");
}

static void write_piece(struct native_answer *a, const struct piece *piece,
			const struct token_usage *usage, struct text *out)
{
	const struct text content = { .data = (char *)piece->text, .bytes = piece->bytes };
	struct text tokens = { .data = NULL }, told = { .data = NULL };

	add_ids(piece, &tokens);
	add_told(a, piece, &told);
	text_puts(out, "data: ");
	write_head(a, &content, &tokens, usage, out);
	text_puts(out, ",\"stop\":false");
	write_told(&told, out);
	text_puts(out, "}\n\n");
	out->failed |= tokens.failed || told.failed;
	text_free(&tokens);
	text_free(&told);
}

void native_piece(struct native_answer *a, const struct piece *piece,
		  const struct token_usage *usage, struct text *out)
{
	switch (piece->kind) {
	case PIECE_TEXT:
		a->new_line |= memchr(piece->text, '\n', piece->bytes) != NULL;
		if (!a->whole) {
			write_piece(a, piece, usage, out);
			break;
		}
		text_add(&a->content, piece->text, piece->bytes);
		add_ids(piece, &a->tokens);
		add_told(a, piece, &a->told);
		break;
	case PIECE_END:
		finish(a, piece, a->whole ? &a->reply : out);
		break;
	case PIECE_FAILED:
		text_puts(out, "data: ");
		problem_write(&piece->problem, DIALECT_OPENAI, out);
		text_puts(out, "\n\n");
		break;
	default: /* reasoning and calls aren't looked for */
		break;
	}
}

/* Numbers of the table of fields by their names in llama-server's replies. */
#define NUMBER(name, member)                                               \
	{                                                                  \
		name, offsetof(struct stoker_sampler_params, member), true \
	}
#define COUNT(name, member)                                                 \
	{                                                                   \
		name, offsetof(struct stoker_sampler_params, member), false \
	}
static const struct {
	const char *name;
	size_t offset;
	bool number;
} settings[] = {
	NUMBER("temperature", temperature),
	NUMBER("dynatemp_range", dynamic_range),
	NUMBER("dynatemp_exponent", dynamic_exponent),
	COUNT("top_k", top_k),
	NUMBER("top_p", top_p),
	NUMBER("min_p", min_p),
	NUMBER("top_n_sigma", top_n_sigma),
	NUMBER("xtc_probability", xtc_probability),
	NUMBER("xtc_threshold", xtc_threshold),
	NUMBER("typical_p", typical_p),
	COUNT("repeat_last_n", repeat_last),
	NUMBER("repeat_penalty", repeat_penalty),
	NUMBER("presence_penalty", presence_penalty),
	NUMBER("frequency_penalty", frequency_penalty),
	NUMBER("dry_multiplier", dry_multiplier),
	NUMBER("dry_base", dry_base),
	COUNT("dry_allowed_length", dry_allowed_length),
	COUNT("dry_penalty_last_n", dry_last),
	COUNT("mirostat", mirostat),
	NUMBER("mirostat_tau", mirostat_tau),
	NUMBER("mirostat_eta", mirostat_eta),
};

struct json_object *native_settings(const struct chosen *c, const struct served *m)
{
	struct json_object *o = json_object_new_object(), *stop = json_object_new_array();
	const int64_t limit = c->limited ? (int64_t)c->max_tokens : -1;

	object_count(o, "n_ctx", served_context(m));
	object_count(o, "n_predict", limit);
	object_count(o, "max_tokens", limit);
	object_count(o, "seed", (int64_t)c->sampling.seed);
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		const char *at = (const char *)&c->sampling + settings[i].offset;

		if (settings[i].number)
			json_object_object_add(o, settings[i].name,
					       json_object_new_double((double)*(const float *)at));
		else
			object_count(o, settings[i].name, *(const uint32_t *)at);
	}
	for (size_t i = 0; i < c->stop_count; i++)
		json_object_array_add(stop, json_object_new_string(c->stop[i]));
	json_object_object_add(o, "stop", stop);
	json_object_object_add(o, "ignore_eos", json_object_new_boolean(c->ignore_end));
	json_object_object_add(o, "stream", json_object_new_boolean(c->stream));
	object_count(o, "n_probs", c->top);
	return o;
}

void native_free(struct native_answer *a)
{
	json_object_put(a->settings);
	text_free(&a->prompt);
	text_free(&a->reply);
	text_free(&a->content);
	text_free(&a->tokens);
	text_free(&a->told);
}
