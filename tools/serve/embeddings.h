/* SPDX-License-Identifier: MIT */
/* Texts as vectors, with a session of its own on a model; one request at a time. */
#ifndef STOKER_SERVE_EMBEDDINGS_H
#define STOKER_SERVE_EMBEDDINGS_H

#include <json-c/json.h>
#include <stoker/stoker.h>

#include "serve/http.h"
#include "serve/models.h"

struct embeddings {
	struct embedded_text {
		uint32_t *tokens;
		size_t count;
	} * texts;
	size_t count;
	uint32_t width;	 /* numbers of a vector */
	float *vectors;	 /* @count of them, of length 1 each */
	uint64_t tokens; /* of all texts */
};

/*
 * @input: a string, a list of strings, a list of tokens, or a list of such lists; the field @name.
 * @cut: a text that is too long for the model is cut short, otherwise it's a 400.
 */
bool embeddings_read(const struct served *m, const char *name, struct json_object *input, bool cut,
		     struct embeddings *e, struct problem *p);
/* Blocks; a client that hangs up ends it: 503, as there is nobody to read it. */
bool embeddings_compute(struct exchange *x, const struct served *m, struct embeddings *e,
			struct problem *p);
void embeddings_free(struct embeddings *e);

/* POST /v1/embeddings */
void embeddings_post(struct exchange *x);

#endif
