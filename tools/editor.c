// SPDX-License-Identifier: MIT
/* libedit: what of it is called. */
#include "editor.h"

#include <locale.h>

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

	/* not the environment's: with LANG=C the editor drops what isn't ASCII, and tr_TR has
	 * another idea of small letters */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
	return library_load(&library, err);
}
