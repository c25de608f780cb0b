// SPDX-License-Identifier: MIT
/* What the endpoints of OpenAI's API write about answers. */
#include "serve/openai.h"

#include <math.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

void openai_id(char id[ID_BYTES], const char *prefix)
{
	static const char letters[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	enum { LETTERS = sizeof(letters) - 1, LENGTH = 24 };
	unsigned char random[LENGTH];
	size_t n = strlen(prefix);

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		for (size_t i = 0; i < LENGTH; i++)
			random[i] = (unsigned char)((uint64_t)now.tv_nsec >> i);
	}
	memcpy(id, prefix, n);
	for (size_t i = 0; i < LENGTH; i++)
		id[n++] = letters[random[i] % LETTERS];
	id[n] = 0;
}

void openai_usage(struct text *out, const struct token_usage *u)
{
	text_printf(out,
		    "{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%llu,"
		    "\"prompt_tokens_details\":{\"cached_tokens\":%u},"
		    "\"completion_tokens_details\":{\"reasoning_tokens\":%u}}",
		    u->prompt, u->generated,
		    (unsigned long long)u->prompt + (unsigned long long)u->generated, u->cached,
		    u->reasoning);
}

void openai_number(struct text *out, double value)
{
	if (!isfinite(value))
		text_puts(out, value > 0 ? "9999.0" : "-9999.0");
	else
		text_printf(out, "%.7g", value);
}

static void add_rate(struct text *out, const char *what, uint32_t n, double seconds)
{
	text_printf(out, "\"%s_n\":%u,\"%s_ms\":%.3f,\"%s_per_token_ms\":%.3f", what, n, what,
		    seconds * 1e3, what, n ? seconds * 1e3 / n : 0.0);
	text_printf(out, ",\"%s_per_second\":%.3f", what, seconds > 0 ? n / seconds : 0.0);
}

void openai_timings(struct text *out, const struct stoker_request_timings *t)
{
	text_printf(out, "{\"cache_n\":%u,", t->reused);
	add_rate(out, "prompt", t->prompt - t->reused, t->prefill);
	text_puts(out, ",");
	add_rate(out, "predicted", t->generated, t->decode);
	text_puts(out, "}");
}

/* A token's text, which may be a part of a character, and its bytes. */
static void add_token(struct text *out, const struct served *m, uint32_t token, float probability)
{
	struct text spelled = { .data = NULL };

	token_text(m, token, &spelled);
	text_printf(out, "{\"id\":%u,\"token\":", token);
	text_json(out, spelled.data, spelled.bytes);
	text_puts(out, ",\"logprob\":");
	openai_number(out, (double)probability);
	text_puts(out, ",\"bytes\":[");
	for (size_t i = 0; i < spelled.bytes; i++)
		text_printf(out, i ? ",%u" : "%u", (unsigned char)spelled.data[i]);
	text_puts(out, "]");
	text_free(&spelled);
}

void openai_log_probabilities(struct text *out, const struct served *m,
			      const struct token_info *tokens, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct token_info *t = &tokens[i];

		text_puts(out, i ? "," : "");
		add_token(out, m, t->token, t->log_probability);
		text_puts(out, ",\"top_logprobs\":[");
		for (unsigned k = 0; k < t->top_count; k++) {
			text_puts(out, k ? "," : "");
			add_token(out, m, t->top[k].token, t->top[k].log_probability);
			text_puts(out, "}");
		}
		text_puts(out, "]}");
	}
}

const char *openai_finish(enum finish finish)
{
	switch (finish) {
	case FINISH_LENGTH:
		return "length";
	case FINISH_CALLS:
		return "tool_calls";
	default:
		return "stop";
	}
}

void openai_event_begin(struct text *out)
{
	text_puts(out, "data: ");
}

void openai_event_end(struct text *out)
{
	text_puts(out, "\n\n");
}

void openai_event_problem(struct text *out, const struct problem *p)
{
	openai_event_begin(out);
	problem_write(p, DIALECT_OPENAI, out);
	openai_event_end(out);
}

void openai_ping(void *context, struct text *out)
{
	(void)context;
	text_puts(out, ": ping\n\n");
}
