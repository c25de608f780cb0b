/* SPDX-License-Identifier: MIT */
/**
 * stoker/error.h - how public calls report what went wrong, and what else holds for all of them.
 *
 * Every call that can fail returns 0 (or a count) on success and a negative errno on failure.  Most
 * take an optional struct stoker_error that receives one sentence naming the file, key, tensor or
 * limit and the figures on both sides.  The library never prints, exits or installs signal
 * handlers.  Messages are in English and don't depend on the locale, nor does anything else.
 *
 * Fork: containers, vocabularies, templates, grammars, decoders, samplers and profiles are in a
 * forked process what they were, as long as no other thread was using them; stoker/device.h says
 * what devices, models and sessions are.
 *
 * Sizes: structs that a program makes begin with their size, which STOKER_..._INIT sets:
 *
 *	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 4096 };
 *	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
 *
 * So members can be added behind the others.  What an older program doesn't have is 0 to the
 * library; a newer program may set what this library has, and gets -E2BIG for more than that; of
 * results it gets what both have, zeros behind it.  Without its size a struct is refused with
 * -EINVAL.  Arrays are handed over with the size of an item.  All other structs are what they are
 * for good, or are made by the library alone.
 *
 * Misuse: an object, a text or a place for a result that is NULL where a header doesn't allow it
 * makes a call that can fail return -EINVAL; others return 0 or NULL, or do nothing.
 */
#ifndef STOKER_ERROR_H
#define STOKER_ERROR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define STOKER_API __attribute__((visibility("default")))
#else
#define STOKER_API
#endif

/* C++ has named initialisers from C++20 on; before, the size is the first member all the same. */
#if defined(__cplusplus) && __cplusplus < 202002L
#define STOKER_SIZE_OF(type) sizeof(type)
#else
#define STOKER_SIZE_OF(type) .size = sizeof(type)
#endif

/**
 * struct stoker_error - one human sentence about a failure
 * @message: NUL-terminated UTF-8, truncated rather than split over lines
 * @needed: with -ENOMEM where a budget of memory isn't enough, bytes that would be; otherwise 0
 * @available: then bytes that there are
 * @reserved: 0
 *
 * A call that fails sets all of it, one that succeeds leaves it alone.  The caller owns it, usually
 * on the stack; it needs no initialisation and no release.
 */
struct stoker_error {
	char message[480];
	uint64_t needed, available;
	uint64_t reserved[2];
};

/**
 * stoker_free() - release memory that a call gave
 * @p: an array, a text; NULL is fine
 *
 * It's what free() does in the library's own C library; only a program with another one can tell
 * them apart.  What has a call of its own to release it is released with that.
 */
STOKER_API void stoker_free(void *p);

#ifdef __cplusplus
}
#endif

#endif
