/* SPDX-License-Identifier: MIT */
/* What a model expects of each token of a text, in a file, and how far another's expectations are.
 */
#ifndef STOKER_TOOL_DIVERGENCE_H
#define STOKER_TOOL_DIVERGENCE_H

#include "tool.h"

/*
 * The file is what llama-perplexity writes and reads as --kl-divergence-base: "_logits_", tokens a
 * context, tokens of the vocabulary and contexts, as 32-bit numbers; the text's tokens; and for
 * each one that is predicted in the second half of a context a step and a least logarithm, as
 * floats, and of the whole vocabulary, rounded up to an even number, how many steps above that each
 * one's logarithm of its probability is, in 16 bits.
 */
struct base {
	const char *path;
	char *part; /* while it is being written */
	FILE *file;
	uint32_t context, vocabulary, chunks;
	uint32_t *tokens; /* [chunks][context] */
	uint16_t *row;	  /* of the next predicted token */
};

/* Divergences of rows from those of a base. */
struct divergence {
	double *values;
	size_t count, room, same_top;
	double sum, squares, base_nats;
};

/* These return an exit status, after a complaint. */
int base_open(struct base *b, const char *path);
int base_create(struct base *b, const char *path, const uint32_t *tokens);
/* The next row: of @vocabulary logits. */
int base_write(struct base *b, const float *logits);
/* The file is complete from here on. */
int base_finish(struct base *b);
/* What isn't complete is removed. */
void base_close(struct base *b);

/* Reads the next row; @nats of @target are those of the model that is compared. */
int divergence_add(struct divergence *d, struct base *b, const float *logits, uint32_t target);
/* To standard output, or as members of @root. */
void divergence_print(struct divergence *d);
void divergence_to_json(struct divergence *d, struct json_object *root);
void divergence_free(struct divergence *d);

#endif
