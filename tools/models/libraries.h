/* SPDX-License-Identifier: MIT */
/* libcurl and libcrypto, which only fetching and hashing need. */
#ifndef STOKER_TOOL_LIBRARIES_H
#define STOKER_TOOL_LIBRARIES_H

#include <curl/curl.h>
#include <openssl/evp.h>

#include "library.h"

#define LIBCURL_FUNCTIONS(X)                   \
	X(easy_cleanup, curl_easy_cleanup)     \
	X(easy_escape, curl_easy_escape)       \
	X(easy_getinfo, curl_easy_getinfo)     \
	X(easy_init, curl_easy_init)           \
	X(easy_perform, curl_easy_perform)     \
	X(easy_reset, curl_easy_reset)         \
	X(easy_setopt, curl_easy_setopt)       \
	X(easy_strerror, curl_easy_strerror)   \
	X(easy_unescape, curl_easy_unescape)   \
	X(free, curl_free)                     \
	X(global_cleanup, curl_global_cleanup) \
	X(global_init, curl_global_init)       \
	X(slist_append, curl_slist_append)     \
	X(slist_free_all, curl_slist_free_all) \
	X(url, curl_url)                       \
	X(url_cleanup, curl_url_cleanup)       \
	X(url_get, curl_url_get)               \
	X(url_set, curl_url_set)

#define LIBCRYPTO_FUNCTIONS(X)                \
	X(DigestFinal_ex, EVP_DigestFinal_ex) \
	X(DigestInit_ex, EVP_DigestInit_ex)   \
	X(DigestUpdate, EVP_DigestUpdate)     \
	X(MD_CTX_free, EVP_MD_CTX_free)       \
	X(MD_CTX_new, EVP_MD_CTX_new)         \
	X(sha256, EVP_sha256)

struct libcurl {
	LIBCURL_FUNCTIONS(LIBRARY_MEMBER)
};
struct libcrypto {
	LIBCRYPTO_FUNCTIONS(LIBRARY_MEMBER)
};

/* NULL until they are loaded. */
extern struct libcurl libcurl;
extern struct libcrypto libcrypto;

int libcurl_load(struct stoker_error *err);
int libcrypto_load(struct stoker_error *err);

#endif
