/* SPDX-License-Identifier: MIT */
/* What a model's file says of itself, in the words that clients know. */
#ifndef STOKER_SERVE_DETAILS_H
#define STOKER_SERVE_DETAILS_H

#include <stdbool.h>
#include <stdint.h>

#include <stoker/gguf.h>

struct json_object;

struct details {
	char family[64];       /* the architecture: "qwen3" */
	char size[16];	       /* "135M" */
	char quantization[32]; /* "Q4_K_M" */
	char digest[65];       /* 64 hexadecimal digits that are its own; "": nothing is known */
	uint64_t parameters;
	bool tools, thinking, fills; /* what its template mentions; its vocabulary has places */
};

bool details_read(const char *path, struct details *out);

/* A key's text, or NULL; to be released with free(). */
char *details_text(const struct stoker_gguf *g, const char *key);
/* All metadata; lists only if they are asked for, null stands for them otherwise. */
struct json_object *details_metadata(const struct stoker_gguf *g, bool lists);

#endif
