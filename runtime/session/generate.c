// SPDX-License-Identifier: MIT
/* Generation: sample, decode, watch for stop strings, pass on whole UTF-8 characters. */
#include "session/session.h"

#include "text/vocabulary.h"

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

/* Passes on the first @bytes; what isn't UTF-8 goes out as U+FFFD. */
static int pass_on(const struct stoker_generate_params *p, struct pending *t, size_t bytes)
{
	char clean[3 * sizeof(t->data)];
	size_t length = 0;

	for (size_t i = 0; i < bytes;) {
		uint32_t c;
		const size_t n = utf8_decode(t->data + i, bytes - i, &c);

		if (n)
			memcpy(clean + length, t->data + i, n);
		length += n ? n : utf8_encode(0xfffd, clean + length);
		i += n ? n : 1;
	}
	memmove(t->data, t->data + bytes, t->length - bytes);
	t->length -= bytes;
	return length && p->text ? p->text(p->context, clean, length) : 0;
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

/* What became of one token. */
static int take_token(const struct stoker_generate_params *p, const struct stoker_vocabulary *v,
		      uint32_t token, struct pending *text, enum stoker_finish *finish)
{
	const size_t room = sizeof(text->data) - text->length;
	size_t stop, hold;

	text->length += MIN(stoker_token_text(v, token, 0, text->data + text->length, room), room);
	stop = find_stop(p, text);
	if (stop < text->length) {
		text->length = stop;
		*finish = STOKER_FINISH_STOP;
		return 1;
	}
	hold = MAX(maybe_stop(p, text), unfinished(text->data, text->length));
	if (pass_on(p, text, text->length - hold))
		*finish = STOKER_FINISH_CALLER;
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

	while (!ret && r.finish == STOKER_FINISH_LENGTH &&
	       (!params->max_tokens || r.tokens < params->max_tokens)) {
		const float *logits = stoker_session_last_logits(session);
		uint32_t token;

		if (!logits) {
			ret = stoker_fail(err, -EINVAL, "the session has no logits to sample from");
			break;
		}
		ret = stoker_sampler_sample(sampler, logits, stoker_session_vocabulary(session),
					    &token);
		if (ret) {
			stoker_fail(err, ret,
				    ret == -EDOM ? "the model gives no finite logits"
						 : "out of memory");
			break;
		}
		if (!params->ignore_end && stoker_vocabulary_is_end(vocabulary, token)) {
			r.finish = STOKER_FINISH_END;
			break;
		}
		r.tokens++;
		if (take_token(params, vocabulary, token, &text, &r.finish))
			break;
		if (stoker_session_position(session) < stoker_session_context(session))
			ret = stoker_session_eval(session, &token, 1, STOKER_LOGITS_LAST, err);
		else if (r.finish == STOKER_FINISH_LENGTH)
			r.finish = STOKER_FINISH_CONTEXT;
	}
	if (ret)
		r.finish = STOKER_FINISH_FAILED;
	else if (r.finish != STOKER_FINISH_CALLER && pass_on(params, &text, text.length))
		r.finish = STOKER_FINISH_CALLER;
	if (result)
		*result = r;
	return ret;
}
