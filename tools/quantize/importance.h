/* SPDX-License-Identifier: MIT */
/*
 * Importance matrices: for each column of a model's matrices the mean square of what it is
 * multiplied with, as "stoker imatrix" collects it and llama.cpp's program of that name.
 */
#ifndef STOKER_TOOL_IMPORTANCE_H
#define STOKER_TOOL_IMPORTANCE_H

#include "quantize/quantize.h"

/* Tokens that an expert needs to have seen for its own importance; below it's also the others'. */
enum { IMPORTANCE_TOKENS = 32 };

struct importance_entry {
	char *name;
	uint64_t columns, matrices;
	float *values; /* [matrices][columns] */
};

struct importance {
	struct importance_entry *entries; /* by name */
	size_t count;
	uint32_t chunks;
	char *dataset; /* the text it's of, NULL: not said */
};

/* Reads a file of either form.  An exit status, after a complaint; importance_free() in any case.
 */
int importance_read(const char *path, struct importance *importance);
void importance_free(struct importance *importance);

/*
 * Gives the planned tensors their importance, which stays the caller's.  An exit status, after a
 * complaint that names the tensor where it's of another model.
 */
int importance_apply(const struct importance *importance, const char *path, struct plan *p);
/* What the written file says of it. */
void importance_put_keys(const struct importance *importance, const char *path,
			 struct stoker_gguf_writer *out);

/* importance_data.c: the old form without a container; @importance is empty. */
int importance_read_data(const char *path, struct importance *importance);
/* Room for one more; NULL after a complaint. */
struct importance_entry *importance_add(struct importance *importance, const char *path,
					const char *name, size_t length, uint64_t columns,
					uint64_t matrices);
/*
 * Sums of squares over so many tokens each to means.  What few tokens have seen is filled up with
 * the mean of all matrices of the tensor, what nothing has with ones.
 */
void importance_mean(struct importance_entry *e, const float *counts, uint64_t count);

#endif
