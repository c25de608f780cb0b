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
struct stoker_model;

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
 * stoker_model_vocabulary() - the vocabulary of a loaded model
 * @model: keeps it, and reads it when it is first asked for: from any thread
 * @vocabulary: receives it; lives as long as the model, don't free it
 *
 * Return: as stoker_vocabulary_load_gguf().
 */
STOKER_API int stoker_model_vocabulary(struct stoker_model *model,
				       const struct stoker_vocabulary **vocabulary,
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

/** enum stoker_special - parts that tokens play */
enum stoker_special {
	STOKER_SPECIAL_BEGIN, /* of a text (BOS) */
	STOKER_SPECIAL_END,   /* of a text (EOS) */
	STOKER_SPECIAL_UNKNOWN,
	STOKER_SPECIAL_SEPARATOR,
	STOKER_SPECIAL_PADDING,
	STOKER_SPECIAL_END_OF_TURN,    /* behind an answer (EOT) */
	STOKER_SPECIAL_END_OF_MESSAGE, /* behind a call of a tool, within a turn (EOM) */
	/* text to be filled in (FIM): prefix TEXT suffix TEXT middle, and the model goes on */
	STOKER_SPECIAL_FILL_PREFIX,
	STOKER_SPECIAL_FILL_SUFFIX,
	STOKER_SPECIAL_FILL_MIDDLE,
	STOKER_SPECIAL_FILL_PAD,
	STOKER_SPECIAL_REPOSITORY, /* before a repository's name */
	STOKER_SPECIAL_FILE,	   /* before a file's */
};

/**
 * stoker_vocabulary_special() - the token that plays a part
 * @which: its id is what the file says, or that of a name that models have for it
 *
 * Several tokens may end a text or a turn, see stoker_vocabulary_is_end().
 *
 * Return: an id, or -1.
 */
STOKER_API int64_t stoker_vocabulary_special(const struct stoker_vocabulary *vocabulary,
					     enum stoker_special which);

/**
 * stoker_vocabulary_find() - the token that is spelled so
 * @spelling: @bytes as the file has it: of a control token "<|im_start|>"; pieces of text are in
 *the vocabulary's own alphabet
 *
 * Return: its id, or -1.
 */
STOKER_API int64_t stoker_vocabulary_find(const struct stoker_vocabulary *vocabulary,
					  const char *spelling, size_t bytes);

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
