/* SPDX-License-Identifier: MIT */
/**
 * stoker/version.h - which version of the library this is.
 *
 * Programs that were built against an older version of this API go on with a newer library of the
 * same soname: calls, members of structs and values of enums are added, none is changed or taken
 * away.
 *
 * Thread-safety: any thread, at any time.
 */
#ifndef STOKER_VERSION_H
#define STOKER_VERSION_H

#include <stdint.h>

#include "stoker/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of these headers; grows by one with each release that adds something to them. */
#define STOKER_API_VERSION 1

/**
 * stoker_api_version() - STOKER_API_VERSION of the library that is running
 *
 * Less than that of the headers: it lacks something that they have.
 */
STOKER_API uint32_t stoker_api_version(void);

/** stoker_version() - "0.1.0", of the library that is running. */
STOKER_API const char *stoker_version(void);

#ifdef __cplusplus
}
#endif

#endif
