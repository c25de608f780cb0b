// SPDX-License-Identifier: MIT
/*
 * Continues several texts with a model, all in the same steps:
 *
 *	together MODEL.gguf "In the beginning" "Once upon a time"
 *
 *	cc together.c $(pkg-config --cflags --libs stoker-rt) -o together
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/stoker.h>

enum { TEXTS = 16, STEP = 64, TOKENS = 32 };

struct text {
	struct stoker_sequence *sequence;
	struct stoker_sampler *sampler;
	uint32_t next; /* the token that was sampled last */
};

/* A prompt, as much in a step as fits, and its first token. */
static int begin(struct stoker_batch *batch, struct text *t, const uint32_t *tokens, size_t count,
		 uint32_t vocabulary, struct stoker_error *err)
{
	int ret = stoker_sequence_create(batch, &t->sequence, err);

	for (size_t done = 0; done < count && !ret; done += STEP) {
		const size_t left = count - done;
		struct stoker_batch_part part = { t->sequence, tokens + done, left,
						  STOKER_LOGITS_LAST, 0 };

		if (left > STEP) {
			part.count = STEP;
			part.logits = STOKER_LOGITS_NONE;
		}

		ret = stoker_batch_eval(batch, &part, sizeof(part), 1, err);
	}
	if (!ret)
		ret = stoker_sampler_create(NULL, &t->sampler, err);
	return ret ? ret
		   : stoker_sampler_sample(t->sampler, stoker_batch_logits(batch, 0), vocabulary,
					   &t->next);
}

/* One token of each text. */
static int step(struct stoker_batch *batch, struct text *texts, size_t count, uint32_t vocabulary,
		struct stoker_error *err)
{
	struct stoker_batch_part parts[TEXTS];
	int ret;

	memset(parts, 0, sizeof(parts));
	for (size_t i = 0; i < count; i++) {
		parts[i].sequence = texts[i].sequence;
		parts[i].tokens = &texts[i].next;
		parts[i].count = 1;
		parts[i].logits = STOKER_LOGITS_LAST;
	}
	ret = stoker_batch_eval(batch, parts, sizeof(*parts), count, err);
	for (size_t i = 0; i < count && !ret; i++)
		ret = stoker_sampler_sample(texts[i].sampler, stoker_batch_logits(batch, i),
					    vocabulary, &texts[i].next);
	return ret;
}

static void print(const struct stoker_vocabulary *vocabulary, const struct text *t)
{
	size_t count;
	const uint32_t *tokens = stoker_sequence_tokens(t->sequence, &count);
	struct stoker_decoder *decoder = NULL;
	const char *utf8;

	if (!stoker_decoder_create(vocabulary, NULL, &decoder, NULL)) {
		for (size_t i = 0; i < count; i++)
			if (!stoker_decoder_push(decoder, tokens[i], &utf8, NULL))
				fputs(utf8, stdout);
		putchar('\n');
	}
	stoker_decoder_free(&decoder);
}

int main(int argc, char **argv)
{
	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT };
	const size_t count = argc > 2 ? (size_t)argc - 2 : 0;
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	struct stoker_batch *batch = NULL;
	const struct stoker_vocabulary *vocabulary = NULL;
	struct text texts[TEXTS] = { { NULL, NULL, 0 } };
	struct stoker_model_params load = { STOKER_MODEL_PARAMS_INIT };
	struct stoker_error err = { "no token can be sampled", 0, 0, { 0, 0 } };
	int ret;

	if (count < 1 || count > TEXTS) {
		fprintf(stderr, "usage: %s MODEL.gguf TEXT... (up to %d)\n", argv[0], TEXTS);
		return 2;
	}
	params.batch = STEP;
	params.sequences = TEXTS;
	load.session = &params; /* whatever memory is left is for all of them */
	ret = stoker_device_open(NULL, &device, &err);
	if (!ret)
		ret = stoker_model_load(device, argv[1], &load, &model, &err);
	if (!ret)
		ret = stoker_model_vocabulary(model, &vocabulary, &err);
	if (!ret)
		ret = stoker_batch_create(model, &params, &batch, &err);
	for (size_t i = 0; i < count && !ret; i++) {
		const char *text = argv[i + 2];
		uint32_t *tokens = NULL;
		size_t n;

		ret = stoker_vocabulary_tokenize(vocabulary, text, strlen(text),
						 STOKER_TOKENIZE_ADD, &tokens, &n, &err);
		if (!ret && !n)
			ret = snprintf(err.message, sizeof(err.message), "text %zu has no tokens",
				       i + 1);
		if (!ret)
			ret = begin(batch, &texts[i], tokens, n, stoker_vocabulary_size(vocabulary),
				    &err);
		stoker_free(tokens);
	}
	for (int n = 0; n < TOKENS && !ret; n++)
		ret = step(batch, texts, count, stoker_vocabulary_size(vocabulary), &err);
	if (ret)
		fprintf(stderr, "%s\n", err.message);
	for (size_t i = 0; i < count; i++) {
		if (!ret)
			print(vocabulary, &texts[i]);
		stoker_sequence_free(&texts[i].sequence);
		stoker_sampler_free(&texts[i].sampler);
	}
	stoker_batch_free(&batch);
	stoker_model_free(&model);
	stoker_device_close(&device);
	return ret != 0;
}
