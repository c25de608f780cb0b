/* SPDX-License-Identifier: MIT */
/*
 * libcurl and libcrypto, which only fetching and hashing need: loaded by those, so that everything
 * else starts without the thirty libraries that they bring along, and works where they aren't.
 */
#ifndef STOKER_TOOL_LIBRARIES_H
#define STOKER_TOOL_LIBRARIES_H

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stoker/error.h>

#define LIBCURL_FUNCTIONS(X)    \
	X(curl, easy_cleanup)   \
	X(curl, easy_escape)    \
	X(curl, easy_getinfo)   \
	X(curl, easy_init)      \
	X(curl, easy_perform)   \
	X(curl, easy_reset)     \
	X(curl, easy_setopt)    \
	X(curl, easy_strerror)  \
	X(curl, easy_unescape)  \
	X(curl, free)           \
	X(curl, global_cleanup) \
	X(curl, global_init)    \
	X(curl, slist_append)   \
	X(curl, slist_free_all) \
	X(curl, url)            \
	X(curl, url_cleanup)    \
	X(curl, url_get)        \
	X(curl, url_set)

#define LIBCRYPTO_FUNCTIONS(X) \
	X(EVP, DigestFinal_ex) \
	X(EVP, DigestInit_ex)  \
	X(EVP, DigestUpdate)   \
	X(EVP, MD_CTX_free)    \
	X(EVP, MD_CTX_new)     \
	X(EVP, sha256)

/* curl_easy_init() is called libcurl.easy_init(), EVP_sha256() libcrypto.sha256(). */
#define LIBRARY_FUNCTION(prefix, name) __typeof__(prefix##_##name) *name;
struct libcurl {
	LIBCURL_FUNCTIONS(LIBRARY_FUNCTION)
};
struct libcrypto {
	LIBCRYPTO_FUNCTIONS(LIBRARY_FUNCTION)
};
#undef LIBRARY_FUNCTION

/* NULL until they are loaded, by the thread that starts others. */
extern struct libcurl libcurl;
extern struct libcrypto libcrypto;

/* Once is enough, again does nothing. -ENOPKG: it isn't here, or too old; @err says which package
 * has it. */
int libcurl_load(struct stoker_error *err);
int libcrypto_load(struct stoker_error *err);

#endif
