/* SPDX-License-Identifier: MIT */
/* What the library's other parts need of a container beyond the public API. */
#ifndef STOKER_GGUF_INTERNAL_H
#define STOKER_GGUF_INTERNAL_H

#include "base/base.h"
#include "base/file_state.h"
#include "quant/format.h"
#include "stoker/gguf.h"

/* One more owner of a container, who closes it, too. */
struct stoker_gguf *gguf_share(struct stoker_gguf *gguf);

/* What file @file was when it was opened. */
const struct file_state *gguf_file_state(const struct stoker_gguf *gguf, uint32_t file);
/* -EIO when file @file has changed since. */
int gguf_check_unchanged(const struct stoker_gguf *gguf, uint32_t file, struct stoker_error *err);

/*
 * Refuses a container that is something else than a model of text, or of which not even the
 * @vocabulary is of use, if that is all that is asked for.
 */
int gguf_check_kind(const struct stoker_gguf *gguf, bool vocabulary, struct stoker_error *err);
/* Says which architecture isn't supported. */
int gguf_refuse_architecture(const struct stoker_gguf *gguf, struct stoker_error *err);

/* Where tensor data begins in file @file. */
uint64_t stoker_gguf_data(const struct stoker_gguf *gguf, uint32_t file);

/* Which row or entry it is, below the counts. */
size_t gguf_tensor_index(const struct stoker_gguf *gguf, const struct stoker_gguf_tensor *tensor);
size_t gguf_key_index(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key);

/* A key's value as stored (for an array: element type, count, elements). */
const uint8_t *stoker_gguf_raw(const struct stoker_gguf_key *key, size_t *bytes);

/* What tells arrays of strings apart without a comparison: a hash of a key's value as stored. */
uint64_t gguf_fingerprint(const struct stoker_gguf_key *key);

/*
 * What tells a container from all others that somebody has: a hash of its files' heads and of the
 * first bytes of some tensors.  Reads them.
 */
int gguf_identity(const struct stoker_gguf *gguf, uint64_t hash[2], struct stoker_error *err);

#endif
