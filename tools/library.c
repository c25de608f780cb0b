// SPDX-License-Identifier: MIT
/* Libraries that are loaded when they're needed. */
#include "library.h"

#include <dlfcn.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

int library_load(struct library *library, struct stoker_error *err)
{
	void *handle;

	if (library->loaded)
		return 0;
	handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		snprintf(err->message, sizeof(err->message),
			 "%s can't be loaded, which %s needs; it is in the package %s: %s",
			 library->file, library->use, library->package, dlerror());
		return -ENOPKG;
	}
	for (size_t i = 0; i < library->count; i++) {
		const struct library_function *f = &library->functions[i];
		void *address = dlsym(handle, f->name);

		if (!address) {
			snprintf(err->message, sizeof(err->message),
				 "%s has no %s, which %s needs; the package %s has to be as new as "
				 "the one that this program was built with",
				 library->file, f->name, library->use, library->package);
			return -ENOPKG;
		}
		memcpy(f->place, &address, sizeof(address));
	}
	/* never closed: they have handlers that run when the program ends */
	library->loaded = true;
	return 0;
}

void library_characters(void)
{
	/* not the environment's: with LANG=C what isn't ASCII is dropped or refused, and tr_TR has
	 * another idea of small letters */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
}
