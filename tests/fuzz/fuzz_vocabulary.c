// SPDX-License-Identifier: MIT
/* A hostile vocabulary, and texts through it. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stoker_vocabulary *v = NULL;
	struct stoker_error err;
	uint32_t *tokens = NULL;
	char path[32], text[64];
	size_t count = 0;
	const int fd = input_file(data, size, path);

	if (!stoker_vocabulary_load(path, &v, &err)) {
		const size_t n = size < 400 ? size : 400;

		for (unsigned flags = 0; flags < 4; flags++)
			if (!stoker_vocabulary_tokenize(v, (const char *)data + size - n, n, flags,
							&tokens, &count, &err)) {
				for (size_t i = 0; i < count; i++)
					stoker_vocabulary_text(v, tokens[i], flags & 1, text,
							       sizeof(text));
				free(tokens);
			}
		stoker_vocabulary_free(&v);
	}
	close(fd);
	return 0;
}
