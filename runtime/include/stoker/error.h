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
 * Misuse: an object, a text or a place for a result that is NULL where a header doesn't allow it
 * makes a call that can fail return -EINVAL; others return 0 or NULL, or do nothing.
 */
#ifndef STOKER_ERROR_H
#define STOKER_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define STOKER_API __attribute__((visibility("default")))
#else
#define STOKER_API
#endif

/**
 * struct stoker_error - one human sentence about a failure
 * @message: NUL-terminated UTF-8, set by a call that fails and left
 *	alone by one that succeeds; truncated rather than split over lines
 *
 * The caller owns it, usually on the stack; it needs no initialisation and no release.
 */
struct stoker_error {
	char message[480];
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
