// SPDX-License-Identifier: MIT
/* Hostile texts through good vocabularies: byte pairs and SentencePiece. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[2] = { "tools/demo-model/stoker-demo-Q4_K.gguf",
					      "tests/data/containers/plain.gguf" };
	static struct stoker_vocabulary *vocabularies[2];
	const size_t which = size && data[0] & 1;
	struct stoker_error err;
	uint32_t *tokens = NULL;
	size_t count = 0;

	if (!vocabularies[which] &&
	    stoker_vocabulary_load(files[which], &vocabularies[which], &err)) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	for (unsigned flags = 0; flags < 4; flags++)
		if (!stoker_vocabulary_tokenize(vocabularies[which], (const char *)data, size,
						flags, &tokens, &count, &err))
			free(tokens);
	return 0;
}
