/* SPDX-License-Identifier: MIT */
/* What names of models say: "hf:OWNER/REPO:QUANT", and files' names in repositories. */
#ifndef STOKER_TOOL_NAMES_H
#define STOKER_TOOL_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* "hf:OWNER/REPO", behind an @ a branch, tag or commit, and behind a second colon a quantization or
 * a file's name; "" without one. */
struct hub_name {
	char owner[100], repo[100], revision[100], quant[160];
};
enum { HUB_SOURCE_MAX = 304 };

bool names_is_hub(const char *text);
/* false when it isn't written like that. */
bool names_parse_hub(const char *text, struct hub_name *name);

/* "OWNER/REPO", or "OWNER/REPO@REVISION", of which slashes are plus signs: folders of the store. */
void names_source(const struct hub_name *name, char out[HUB_SOURCE_MAX]);

/* A file's name without folders, ".gguf" and the number of a split file; a string of the heap. */
char *names_stem(const char *path);
/* The quantization that a file's name ends in, "Q4_K_M", within @stem; NULL without one. */
const char *names_quant(const char *stem);
/* Whether a file called @path is what @quant asks for: its stem, or how that ends. */
bool names_match(const char *path, const char *quant);
/* What isn't a model by itself: what goes with one, as mmproj and imatrix files. */
bool names_is_companion(const char *path);

#endif
