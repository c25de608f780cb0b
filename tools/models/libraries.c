// SPDX-License-Identifier: MIT
/* libcurl and libcrypto, loaded by what needs them. */
#include "models/libraries.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "models/store.h"

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)

struct function {
	const char *name;
	void *place;
};

struct library {
	const char *file; /* with the number of the interface that the headers describe */
	const char
		*package; /* Debian's and Ubuntu's, by the name that all of their releases know */
	const struct function *functions;
	size_t count;
	bool loaded;
};

struct libcurl libcurl;
struct libcrypto libcrypto;

static int load(struct library *library, struct stoker_error *err)
{
	void *handle;

	if (library->loaded)
		return 0;
	handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return store_error(err, -ENOPKG,
				   "%s can't be loaded, which fetching models needs; it is in the "
				   "package %s: %s",
				   library->file, library->package, dlerror());
	for (size_t i = 0; i < library->count; i++) {
		const struct function *f = &library->functions[i];
		void *address = dlsym(handle, f->name);

		if (!address)
			return store_error(err, -ENOPKG,
					   "%s has no %s, which fetching models needs; the package "
					   "%s has to be as new as the one this program was built "
					   "with",
					   library->file, f->name, library->package);
		memcpy(f->place, &address, sizeof(address));
	}
	/* never closed: both have handlers that run when the program ends */
	library->loaded = true;
	return 0;
}

int libcurl_load(struct stoker_error *err)
{
#define FUNCTION(prefix, name) { #prefix "_" #name, &libcurl.name },
	static const struct function functions[] = { LIBCURL_FUNCTIONS(FUNCTION) };
#undef FUNCTION
	static struct library library = {
		.file = "libcurl.so.4",
		.package = "libcurl4",
		.functions = functions,
		.count = sizeof(functions) / sizeof(*functions),
	};

	return load(&library, err);
}

int libcrypto_load(struct stoker_error *err)
{
#define FUNCTION(prefix, name) { #prefix "_" #name, &libcrypto.name },
	static const struct function functions[] = { LIBCRYPTO_FUNCTIONS(FUNCTION) };
#undef FUNCTION
	static struct library library = {
		.file = "libcrypto.so." TEXT_OF(OPENSSL_SHLIB_VERSION),
		.package = "libssl" TEXT_OF(OPENSSL_SHLIB_VERSION),
		.functions = functions,
		.count = sizeof(functions) / sizeof(*functions),
	};

	return load(&library, err);
}
