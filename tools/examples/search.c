// SPDX-License-Identifier: MIT
/*
 * Lines of a text that are nearest to a question:  search MODEL.gguf TEXT.txt "who was afraid?"
 *
 *	cc search.c $(pkg-config --cflags --libs stoker-rt) -o search
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/stoker.h>

enum { BEST = 3 };

static const size_t CONTEXT = 1024;

static struct stoker_session *session;
static struct stoker_vocabulary *vocabulary;

/* A vector of length 1; nonzero after a failure. */
static int embed(const char *text, float *vector, struct stoker_error *err)
{
	uint32_t *tokens = NULL;
	size_t count;
	int ret = stoker_vocabulary_tokenize(vocabulary, text, strlen(text),
					     STOKER_TOKENIZE_ADD | STOKER_TOKENIZE_ADD_END, &tokens,
					     &count, err);

	if (ret)
		return ret;
	stoker_session_truncate(session, 0, NULL);
	ret = stoker_session_eval(session, tokens, count < CONTEXT ? count : CONTEXT,
				  STOKER_LOGITS_NONE, err);
	stoker_free(tokens);
	return ret ? ret : stoker_session_embedding(session, 1, vector, err);
}

struct line {
	char text[512];
	double score;
};

/* Keeps the best ones, in order. */
static void consider(struct line *best, const char *text, double score)
{
	int at = BEST;

	while (at > 0 && score > best[at - 1].score)
		at--;
	if (at == BEST)
		return;
	memmove(best + at + 1, best + at, (size_t)(BEST - 1 - at) * sizeof(*best));
	snprintf(best[at].text, sizeof(best[at].text), "%s", text);
	best[at].score = score;
}

static int search(FILE *file, const char *question, uint32_t width, struct stoker_error *err)
{
	float *wanted = (float *)calloc(2 * (size_t)width, sizeof(float));
	float *vector = wanted + width;
	struct line best[BEST] = { { "", -2 }, { "", -2 }, { "", -2 } };
	char text[512];
	int ret = wanted ? embed(question, wanted, err) : -1;

	while (!ret && fgets(text, sizeof(text), file)) {
		double score = 0;

		text[strcspn(text, "\r\n")] = 0;
		if (!*text)
			continue;
		ret = embed(text, vector, err);
		for (uint32_t i = 0; i < width; i++)
			score += (double)wanted[i] * (double)vector[i];
		if (!ret)
			consider(best, text, score);
	}
	for (int i = 0; i < BEST && !ret && best[i].score > -2; i++)
		printf("%.3f %s\n", best[i].score, best[i].text);
	free(wanted);
	return ret;
}

int main(int argc, char **argv)
{
	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT };
	struct stoker_model_params load = { STOKER_MODEL_PARAMS_INIT };
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct stoker_error err = { "out of memory", 0, 0, { 0, 0 } };
	FILE *file = argc == 4 ? fopen(argv[2], "r") : NULL;
	int status = 1;

	if (!file) {
		fprintf(stderr, "usage: %s MODEL.gguf TEXT.txt QUESTION\n", argv[0]);
		return 2;
	}
	params.context = (uint32_t)CONTEXT;
	params.pooling = STOKER_POOLING_MEAN;
	load.session = &params;
	if (stoker_device_open(NULL, &device, &err) ||
	    stoker_model_load(device, argv[1], &load, &model, &err) ||
	    stoker_vocabulary_load(argv[1], &vocabulary, &err) ||
	    stoker_session_create(model, &params, &session, &err)) {
		fprintf(stderr, "%s\n", err.message);
		goto out_free;
	}
	stoker_model_info(model, &info);
	if (search(file, argv[3], info.embedding, &err))
		fprintf(stderr, "%s\n", err.message);
	else
		status = 0;
out_free:
	fclose(file);
	stoker_session_free(&session);
	stoker_vocabulary_free(&vocabulary);
	stoker_model_free(&model);
	stoker_device_close(&device);
	return status;
}
