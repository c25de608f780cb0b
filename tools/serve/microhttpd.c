// SPDX-License-Identifier: MIT
/* libmicrohttpd: what of it is called. */
#include "serve/microhttpd.h"

struct microhttpd microhttpd;

int microhttpd_load(struct stoker_error *err)
{
#define FUNCTION(member, function) LIBRARY_FUNCTION(microhttpd, member, function)
	static const struct library_function functions[] = { MICROHTTPD_FUNCTIONS(FUNCTION) };
#undef FUNCTION
	static struct library library = {
		.file = "libmicrohttpd.so.12",
		.package = "libmicrohttpd12",
		.use = "stoker serve",
		.functions = functions,
		.count = sizeof(functions) / sizeof(*functions),
	};

	return library_load(&library, err);
}
