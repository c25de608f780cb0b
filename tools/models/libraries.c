// SPDX-License-Identifier: MIT
/* libcurl and libcrypto: what of them is called. */
#include "models/libraries.h"

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)

struct libcurl libcurl;
struct libcrypto libcrypto;

int libcurl_load(struct stoker_error *err)
{
#define FUNCTION(member, function) LIBRARY_FUNCTION(libcurl, member, function)
	static const struct library_function functions[] = { LIBCURL_FUNCTIONS(FUNCTION) };
#undef FUNCTION
	static struct library library = {
		.file = "libcurl.so.4",
		.package = "libcurl4",
		.use = "fetching models",
		.functions = functions,
		.count = sizeof(functions) / sizeof(*functions),
	};

	library_characters(); /* of names of hosts */
	return library_load(&library, err);
}

int libcrypto_load(struct stoker_error *err)
{
#define FUNCTION(member, function) LIBRARY_FUNCTION(libcrypto, member, function)
	static const struct library_function functions[] = { LIBCRYPTO_FUNCTIONS(FUNCTION) };
#undef FUNCTION
	static struct library library = {
		.file = "libcrypto.so." TEXT_OF(OPENSSL_SHLIB_VERSION),
		.package = "libssl" TEXT_OF(OPENSSL_SHLIB_VERSION),
		.use = "fetching models",
		.functions = functions,
		.count = sizeof(functions) / sizeof(*functions),
	};

	return library_load(&library, err);
}
