// SPDX-License-Identifier: MIT
/* Hostile texts and conversations through a good vocabulary (the file in $STOKER_FUZZ_VOCABULARY).
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stoker_vocabulary *v;
	struct stoker_message messages[2] = { { "user", NULL }, { "assistant", NULL } };
	const char *file = getenv("STOKER_FUZZ_VOCABULARY");
	struct stoker_error err;
	uint32_t *tokens = NULL;
	char *first = NULL, *second = NULL, *prompt = NULL;
	size_t count = 0;

	if (!v &&
	    stoker_vocabulary_load(file ? file : "tests/data/containers/plain.gguf", &v, &err)) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	for (unsigned flags = 0; flags < 4; flags++)
		if (!stoker_tokenize(v, (const char *)data, size, flags, &tokens, &count, &err))
			free(tokens);
	first = strndup((const char *)data, size / 2);
	second = strndup((const char *)data + size / 2, size - size / 2);
	messages[0].content = first;
	messages[1].content = second;
	if (!stoker_chat_apply(v, messages, 2, 1, &prompt, &err))
		free(prompt);
	free(first);
	free(second);
	return 0;
}
