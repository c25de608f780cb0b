/* SPDX-License-Identifier: MIT */
/**
 * stoker/decoder.h - token ids to text that can be shown at once.
 *
 * A token may end inside a character, and a text that ends generation may be spelled by several
 * tokens.  A decoder keeps back what isn't settled yet: an unfinished UTF-8 character, and what may
 * turn out to be the beginning of a stop string.
 *
 * Thread-safety: a decoder belongs to one thread at a time; who comes second gets -EBUSY.  After a
 * fork the child goes on with it, as with any other memory.
 */
#ifndef STOKER_DECODER_H
#define STOKER_DECODER_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_decoder;
struct stoker_vocabulary;

/**
 * struct stoker_decoder_params - what a decoder looks for; zeros: nothing
 * @size: STOKER_DECODER_PARAMS_INIT
 * @stop: strings of 1 to 256 bytes that end the text and don't belong to it; they are copied
 * @stop_count: number of them
 * @special: nonzero spells control tokens out, otherwise they are empty
 * @reserved: 0
 */
struct stoker_decoder_params {
	size_t size;
	const char *const *stop;
	size_t stop_count;
	int special;
	uint32_t reserved;
};
#define STOKER_DECODER_PARAMS_INIT STOKER_SIZE_OF(struct stoker_decoder_params)

/**
 * stoker_decoder_create() - start with an empty text
 * @vocabulary: stays in memory for as long as the decoder needs it, even when it is freed
 * @params: may be NULL
 * @decoder: receives it; release it with stoker_decoder_free()
 *
 * Return: 0; -EINVAL for a stop string that is NULL, empty or too long; -ENOMEM.
 */
STOKER_API int stoker_decoder_create(const struct stoker_vocabulary *vocabulary,
				     const struct stoker_decoder_params *params,
				     struct stoker_decoder **decoder, struct stoker_error *err);

/**
 * stoker_decoder_free() - release and clear; NULL is fine
 *
 * In a callback of the stoker_session_generate() that uses it, it goes when that returns.
 */
STOKER_API void stoker_decoder_free(struct stoker_decoder **decoder);

/**
 * stoker_decoder_push() - the next token
 * @utf8: receives the text that is settled now, NUL-terminated, which may be empty: whole
 *	characters, with U+FFFD for what isn't UTF-8; valid until the next call on the decoder
 * @bytes: receives its length; may be NULL
 *
 * Return: 0; 1 when a stop string has come up, of which and of what follows nothing is given: the
 * decoder takes no more tokens and returns 1 until stoker_decoder_reset(); -EINVAL for a token that
 * the vocabulary doesn't have; -EBUSY; -ENOMEM.
 */
STOKER_API int stoker_decoder_push(struct stoker_decoder *decoder, uint32_t token,
				   const char **utf8, size_t *bytes);

/**
 * stoker_decoder_flush() - what is kept back: no more tokens will come
 *
 * As stoker_decoder_push(); an unfinished character is given as U+FFFD.  Tokens may follow all the
 * same.
 *
 * Return: 0, -EINVAL, -EBUSY.
 */
STOKER_API int stoker_decoder_flush(struct stoker_decoder *decoder, const char **utf8,
				    size_t *bytes);

/**
 * stoker_decoder_held() - of how many tokens, the last ones, nothing was given so far
 *
 * They spell what is kept back, or once a stop string has come up, that string, with the token that
 * completed it.  Tokens without text before them don't count.
 */
STOKER_API uint32_t stoker_decoder_held(const struct stoker_decoder *decoder);

/** stoker_decoder_reset() - begin a new text. Return: 0, -EINVAL, -EBUSY. */
STOKER_API int stoker_decoder_reset(struct stoker_decoder *decoder);

#ifdef __cplusplus
}
#endif

#endif
