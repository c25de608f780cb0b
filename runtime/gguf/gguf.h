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

/* Where tensor data begins in file @file. */
uint64_t stoker_gguf_data(const struct stoker_gguf *gguf, uint32_t file);

/* A key's value as stored (for an array: element type, count, elements). */
const uint8_t *stoker_gguf_raw(const struct stoker_gguf_key *key, size_t *bytes);

/* What tells arrays of strings apart without a comparison: a hash of a key's value as stored. */
uint64_t gguf_fingerprint(const struct stoker_gguf_key *key);

#endif
