/* SPDX-License-Identifier: MIT */
/* An open container as the files of this folder see it. */
#ifndef STOKER_GGUF_CONTAINER_H
#define STOKER_GGUF_CONTAINER_H

#include <stdatomic.h>
#include <sys/types.h>

#include "base/file_state.h"
#include "gguf/gguf.h"

struct file {
	char *path;
	int fd;
	uint64_t bytes;
	struct file_state opened;
	uint8_t *head; /* the first head_bytes of the file */
	size_t head_bytes;
	uint64_t data; /* where tensor data begins */
	uint64_t end;  /* and ends, 0: there is none */
};

struct key {
	struct stoker_gguf_key public;
	const uint8_t *value; /* in its file's head, after the type (and element type and count) */
	size_t value_bytes;
	uint64_t value_at; /* its offset, while the head may still move */
};

struct stoker_gguf {
	_Atomic unsigned owners;
	uint32_t version, alignment;
	struct file *files;
	uint32_t file_count;
	struct key *keys;
	size_t key_count;
	struct stoker_gguf_tensor *tensors;
	size_t tensor_count;
	const struct key **sorted_keys; /* by name; where names repeat, the first file's first */
	const struct stoker_gguf_tensor **sorted_tensors;
	char **names; /* of keys and tensors, NUL-terminated copies */
	size_t name_count;
};

/* Bytes of a value by its type; 0: they vary. */
extern const uint8_t gguf_scalar_bytes[STOKER_GGUF_F64 + 1];

/* Reads and checks the head of @file, whose keys and tensors follow those that @g has. */
int gguf_parse_file(struct stoker_gguf *g, struct file *file, struct stoker_error *err);

/* foreign.c: what a file is that begins otherwise than a container, and what to do about it. */
void gguf_describe_foreign(const uint8_t *head, size_t bytes, uint64_t file_bytes, char out[160]);
/* Refuses what is no file, or couldn't be opened because of @error, an errno. */
int gguf_refuse_path(const char *path, mode_t mode, int error, struct stoker_error *err);
/* What is known of a tensor type that isn't supported, in brackets; "" for nothing. */
const char *gguf_describe_type(uint32_t id, char out[128]);

#endif
