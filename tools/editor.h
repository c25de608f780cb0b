/* SPDX-License-Identifier: MIT */
/* libedit, the line editor, which only a conversation at a terminal needs. */
#ifndef STOKER_TOOL_EDITOR_H
#define STOKER_TOOL_EDITOR_H

#include <histedit.h>

#include "library.h"

#define LIBEDIT_FUNCTIONS(X)           \
	X(init, el_init)               \
	X(end, el_end)                 \
	X(resize, el_resize)           \
	X(source, el_source)           \
	X(wget, el_wget)               \
	X(wset, el_wset)               \
	X(wgetc, el_wgetc)             \
	X(wgets, el_wgets)             \
	X(wline, el_wline)             \
	X(winsertstr, el_winsertstr)   \
	X(history, history_w)          \
	X(history_init, history_winit) \
	X(history_end, history_wend)

struct libedit {
	LIBEDIT_FUNCTIONS(LIBRARY_MEMBER)
};

/* NULL until they are loaded. */
extern struct libedit libedit;

/* Also sets the locale, which says how characters are encoded. */
int libedit_load(struct stoker_error *err);

#endif
