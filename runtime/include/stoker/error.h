/* SPDX-License-Identifier: MIT */
/**
 * stoker/error.h - how public calls report what went wrong.
 *
 * Every call that can fail returns 0 (or a count) on success and a negative errno on failure.  Most
 * take an optional struct stoker_error that receives one sentence naming the file, key, tensor or
 * limit and the figures on both sides.  The library never prints, exits or installs signal
 * handlers.
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

#ifdef __cplusplus
}
#endif

#endif
