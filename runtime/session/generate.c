// SPDX-License-Identifier: MIT
/* Generation: sample, decode, watch for stop strings, pass on whole UTF-8 characters. */
#include "session/session.h"

#include <stdio.h>

enum { MAX_STOP = 256, MAX_TOKEN_TEXT = 4096 };

/* Text not yet passed on: it may begin a stop string, or end inside a character. */
struct pending {
	char data[MAX_STOP + MAX_TOKEN_TEXT];
	size_t length;
};

/* Bytes at the end that belong to an unfinished UTF-8 character. */
static size_t unfinished(const char *text, size_t length)
{
	for (size_t back = 1; back <= 3 && back <= length; back++) {
		const unsigned char c = (unsigned char)text[length - back];
		const size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if ((c & 0xc0) != 0x80)
			return need > back ? back : 0;
	}
	return 0;
}

/* Where a stop string begins in the text, or the text's length. */
static size_t find_stop(const struct stoker_generate_params *p, const struct pending *t)
{
	size_t found = t->length;

	for (size_t i = 0; i < p->stop_count; i++) {
		const size_t n = strlen(p->stop[i]);
		const char *at = n ? memmem(t->data, t->length, p->stop[i], n) : NULL;

		if (at)
			found = MIN(found, (size_t)(at - t->data));
	}
	return found;
}

/* Bytes at the end that may become a stop string with what follows. */
static size_t maybe_stop(const struct stoker_generate_params *p, const struct pending *t)
{
	size_t most = 0;

	for (size_t i = 0; i < p->stop_count; i++)
		for (size_t n = MIN(strlen(p->stop[i]), t->length + 1); n-- > most + 1;)
			if (!memcmp(t->data + t->length - n, p->stop[i], n)) {
				most = n;
				break;
			}
	return most;
}

static int pass_on(const struct stoker_generate_params *p, struct pending *t, size_t bytes)
{
	int stop = 0;

	if (bytes && p->text)
		stop = p->text(p->context, t->data, bytes);
	memmove(t->data, t->data + bytes, t->length - bytes);
	t->length -= bytes;
	return stop;
}

static int check_stops(const struct stoker_generate_params *p, struct stoker_error *err)
{
	for (size_t i = 0; i < p->stop_count; i++)
		if (strlen(p->stop[i]) > MAX_STOP || !*p->stop[i])
			return stoker_fail(err, -EINVAL,
					   "stop string %zu has %zu bytes, limits 1 and %d", i + 1,
					   strlen(p->stop[i]), MAX_STOP);
	return 0;
}

int stoker_generate(struct stoker_session *session, struct stoker_sampler *sampler,
		    const struct stoker_vocabulary *vocabulary,
		    const struct stoker_generate_params *params,
		    struct stoker_generate_result *result, struct stoker_error *err)
{
	struct stoker_generate_result r = { .finish = STOKER_FINISH_LENGTH };
	struct pending text = { .length = 0 };
	int ret = check_stops(params, err);
	bool stopped = false;

	while (!ret && !stopped && (!params->max_tokens || r.tokens < params->max_tokens)) {
		const float *logits = stoker_session_logits(session, 0);
		uint32_t token;

		if (!logits) {
			ret = stoker_fail(err, -EINVAL, "the session has no logits to sample from");
			break;
		}
		ret = stoker_sampler_sample(sampler, logits, stoker_session_vocabulary(session),
					    &token);
		if (ret) {
			stoker_fail(err, ret, "out of memory");
			break;
		}
		if (!params->ignore_end && stoker_vocabulary_is_end(vocabulary, token)) {
			r.finish = STOKER_FINISH_END;
			break;
		}
		r.tokens++;
		const size_t room = sizeof(text.data) - text.length;

		text.length +=
			MIN(stoker_token_text(vocabulary, token, 0, text.data + text.length, room),
			    room);
		const size_t stop = find_stop(params, &text);

		if (stop < text.length) {
			text.length = stop;
			r.finish = STOKER_FINISH_STOP;
			break;
		}
		const size_t hold =
			MAX(maybe_stop(params, &text), unfinished(text.data, text.length));

		if (pass_on(params, &text, text.length - hold)) {
			r.finish = STOKER_FINISH_CALLER;
			stopped = true;
		} else if (stoker_session_position(session) == stoker_session_context(session)) {
			r.finish = STOKER_FINISH_CONTEXT;
			stopped = true;
		} else if (!params->max_tokens || r.tokens < params->max_tokens) {
			ret = stoker_session_eval(session, &token, 1, STOKER_LOGITS_LAST, err);
		}
	}
	if (r.finish != STOKER_FINISH_CALLER)
		pass_on(params, &text, text.length);
	if (result)
		*result = r;
	return ret;
}
