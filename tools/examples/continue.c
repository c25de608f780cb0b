// SPDX-License-Identifier: MIT
/*
 * Continues a text with a model:  continue MODEL.gguf "In the beginning"
 *
 *	cc continue.c $(pkg-config --cflags --libs stoker-rt) -o continue
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/stoker.h>

static int print(void *user, const char *utf8, size_t bytes)
{
	(void)user;
	return fwrite(utf8, 1, bytes, stdout) != bytes || fflush(stdout);
}

int main(int argc, char **argv)
{
	struct stoker_generate_params generate = { STOKER_GENERATE_PARAMS_INIT };
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	struct stoker_session *session = NULL;
	struct stoker_sampler *sampler = NULL;
	const struct stoker_vocabulary *vocabulary = NULL;
	struct stoker_error err;
	uint32_t *tokens = NULL;
	size_t count;
	int status = 1;

	if (argc != 3) {
		fprintf(stderr, "usage: %s MODEL.gguf TEXT\n", argv[0]);
		return 2;
	}
	generate.max_tokens = 64;
	generate.text = print;
	if (stoker_device_open(NULL, &device, &err) ||
	    stoker_model_load(device, argv[1], NULL, &model, &err) ||
	    stoker_model_vocabulary(model, &vocabulary, &err) ||
	    stoker_session_create(model, NULL, &session, &err) ||
	    stoker_sampler_create(NULL, &sampler, &err) ||
	    stoker_vocabulary_tokenize(vocabulary, argv[2], strlen(argv[2]), STOKER_TOKENIZE_ADD,
				       &tokens, &count, &err) ||
	    stoker_session_eval(session, tokens, count, STOKER_LOGITS_LAST, &err)) {
		fprintf(stderr, "%s\n", err.message);
		goto out_free;
	}
	fputs(argv[2], stdout);
	if (stoker_session_generate(session, sampler, vocabulary, &generate, NULL, &err)) {
		fprintf(stderr, "\n%s\n", err.message);
		goto out_free;
	}
	putchar('\n');
	status = 0;
out_free:
	stoker_free(tokens);
	stoker_sampler_free(&sampler);
	stoker_session_free(&session);
	stoker_model_free(&model);
	stoker_device_close(&device);
	return status;
}
