// SPDX-License-Identifier: MIT
/* libedit: what of it is called. */
#include "editor.h"

struct libedit libedit;

int libedit_load(struct stoker_error *err)
{
#define FUNCTION(member, function) LIBRARY_FUNCTION(libedit, member, function)
	static const struct library_function functions[] = { LIBEDIT_FUNCTIONS(FUNCTION) };
#undef FUNCTION
	static struct library library = {
		.file = "libedit.so.2",
		.package = "libedit2",
		.use = "editing lines",
		.functions = functions,
		.count = sizeof(functions) / sizeof(*functions),
	};

	library_characters();
	return library_load(&library, err);
}
