/* SPDX-License-Identifier: MIT */
/* Tiny models with random weights and keys and tensors as a test wants them, written to a file. */
#ifndef STOKER_TEST_TINY_H
#define STOKER_TEST_TINY_H

#include "unit.h"

enum { TINY_EMBEDDING = 64, TINY_HIDDEN = 96, TINY_HEADS = 4, TINY_HEAD = 16, TINY_ROWS = 32 };

/* A key "ARCHITECTURE.NAME", or with @whole "NAME". */
struct tiny_key {
	const char *name;
	enum { TINY_U32, TINY_F32, TINY_BOOL, TINY_TEXT, TINY_LIST, TINY_REALS } type;
	double value;
	const char *text;
	int32_t list[64];
	uint32_t count;
	bool whole;
};

/* clang-format off */
#define TINY_NUMBER(key, v) { key, TINY_U32, .value = v }
#define TINY_REAL(key, v) { key, TINY_F32, .value = v }
#define TINY_FLAG(key, v) { key, TINY_BOOL, .value = v }
#define TINY_STRING(key, v) { key, TINY_TEXT, .text = v }
#define TINY_NUMBERS(key, n, ...) { key, TINY_LIST, .list = { __VA_ARGS__ }, .count = n }
/* clang-format on */

struct tiny_tensor {
	const char *name;
	uint64_t ne[3];
	float value; /* of all, 0: random */
};

struct tiny {
	const char *architecture;
	uint32_t layers, experts; /* 0: dense */
	bool latent, apart;	  /* as deepseek2 has them; experts as tensors of their own */
	const struct tiny_key *keys;
	size_t key_count;
	const struct tiny_tensor *tensors; /* beside those that there have to be */
	size_t tensor_count;
	const char *format;	  /* of feed-forward matrices, NULL: F32 */
	const char *without;	  /* a tensor or a key that is left out */
	const char *const *order; /* names of tensors that come last, NULL-terminated */
};

/* One of each kind of cache: of all positions, with layers that see a window, latent. */
enum { TINY_FULL, TINY_WINDOW, TINY_LATENT, TINY_CACHES };
extern const struct tiny tiny_caches[TINY_CACHES];

/* Weights depend on the tensors' names alone: models that share them compute alike. */
void tiny_write(const char *path, const struct tiny *tiny);

/* Loads and evaluates @count tokens; logits of the last, to be freed; NULL and the error. */
float *tiny_logits(const char *path, uint32_t count, uint64_t memory, bool exact,
		   struct stoker_error *err);

/* Where tests write one that they remove again. */
const char *tiny_path(void);
/* Loading such a model ends with @ret and an error that has @mention in it, if that isn't NULL. */
void tiny_expect(const struct tiny *tiny, int ret, const char *mention);
/* Whether two models, each with keys of its own, compute the same. */
bool tiny_alike(struct tiny a, const struct tiny_key *ka, size_t na, struct tiny b,
		const struct tiny_key *kb, size_t nb, uint32_t count);

#endif
