/* SPDX-License-Identifier: MIT */
/**
 * stoker/text.h - tokenizers.
 *
 * A vocabulary is read from GGUF metadata ("tokenizer.ggml.*") and needs no tensors.  Kinds: byte
 * pair encoding over bytes ("gpt2"), SentencePiece ("llama"), WordPiece ("bert").
 *
 * Thread-safety: a vocabulary is constant and may be shared.
 */
#ifndef STOKER_TEXT_H
#define STOKER_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_vocabulary;
struct stoker_gguf;

/**
 * stoker_vocabulary_load() - read the tokenizer of a GGUF file
 * @path: a model or a vocabulary-only file
 * @vocabulary: receives it; release it with stoker_vocabulary_free()
 *
 * Return: 0; -ENOTSUP for a tokenizer kind or pre-tokenizer that isn't known; -EINVAL; -ENOMEM;
 * -errno of reading.
 */
STOKER_API int stoker_vocabulary_load(const char *path, struct stoker_vocabulary **vocabulary,
				      struct stoker_error *err);

/**
 * stoker_vocabulary_load_gguf() - the same from a container that is open
 * @gguf: shared with the vocabulary, which keeps it open for as long as it needs it
 * @vocabulary: receives it; release it with stoker_vocabulary_free()
 *
 * Once this call has returned the caller may close the container at any time, on any thread.
 *
 * Return: 0; -ENOTSUP for a tokenizer kind or pre-tokenizer that isn't known; -EINVAL; -ENOMEM.
 */
STOKER_API int stoker_vocabulary_load_gguf(struct stoker_gguf *gguf,
					   struct stoker_vocabulary **vocabulary,
					   struct stoker_error *err);

/**
 * stoker_vocabulary_load_named() - the same with a pre-tokenizer of the caller's choice
 * @gguf: shared with the vocabulary, which keeps it open for as long as it needs it
 * @pretokenizer: stands in for the file's tokenizer.ggml.pre: "llama-bpe", "qwen2", ...; NULL: what
 *	the file says.  Vocabularies that have no use for one take no notice.
 * @vocabulary: receives it; release it with stoker_vocabulary_free()
 *
 * Return: as stoker_vocabulary_load_gguf().
 */
STOKER_API int stoker_vocabulary_load_named(struct stoker_gguf *gguf, const char *pretokenizer,
					    struct stoker_vocabulary **vocabulary,
					    struct stoker_error *err);

/**
 * stoker_vocabulary_warning() - what is doubtful about the file's tokenizer
 * @index: 0 for the first
 *
 * Return: a sentence that lives as long as the vocabulary, such as that the file doesn't name its
 * pre-tokenizer; NULL behind the last.
 */
STOKER_API const char *stoker_vocabulary_warning(const struct stoker_vocabulary *vocabulary,
						 size_t index);

/** stoker_vocabulary_free() - release and clear; NULL is fine. */
STOKER_API void stoker_vocabulary_free(struct stoker_vocabulary **vocabulary);

/** stoker_vocabulary_size() - number of tokens. */
STOKER_API uint32_t stoker_vocabulary_size(const struct stoker_vocabulary *vocabulary);

/** stoker_vocabulary_bos() - the token that begins a text, or -1. */
STOKER_API int64_t stoker_vocabulary_bos(const struct stoker_vocabulary *vocabulary);

/**
 * stoker_vocabulary_is_end() - nonzero for tokens that end a text or a turn
 *
 * These are the ones that the file gives by id, and those with a name that models end turns with.
 */
STOKER_API int stoker_vocabulary_is_end(const struct stoker_vocabulary *vocabulary, uint32_t token);

/** Flags of stoker_vocabulary_tokenize(). */
enum {
	STOKER_TOKENIZE_ADD = 1,     /* begin as the file's flags say (BOS) */
	STOKER_TOKENIZE_SPECIAL = 2, /* recognise control tokens spelled out in the text */
	STOKER_TOKENIZE_ADD_END = 4, /* end as its flags say (EOS): not for a text that goes on */
};

/**
 * stoker_vocabulary_tokenize() - text to token ids
 * @text: @bytes of any content; invalid UTF-8 is encoded byte by byte
 * @flags: STOKER_TOKENIZE_*
 * @tokens: receives an array to be released with stoker_free()
 * @count: receives its length
 *
 * Return: 0, -ENOMEM, -EINVAL when the vocabulary can't express the text.
 */
STOKER_API int stoker_vocabulary_tokenize(const struct stoker_vocabulary *vocabulary,
					  const char *text, size_t bytes, unsigned flags,
					  uint32_t **tokens, size_t *count,
					  struct stoker_error *err);

/**
 * stoker_vocabulary_text() - what a token adds to a text
 * @special: nonzero spells control tokens out, otherwise they are empty
 * @out: receives up to @room bytes, no NUL; may end inside a UTF-8 character
 *
 * Return: the token's whole length in bytes, which may exceed @room.
 */
STOKER_API size_t stoker_vocabulary_text(const struct stoker_vocabulary *vocabulary, uint32_t token,
					 int special, char *out, size_t room);

#ifdef __cplusplus
}
#endif

#endif
