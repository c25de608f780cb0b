/* SPDX-License-Identifier: MIT */
/* One answer of a conversation: from its messages to one more. */
#ifndef STOKER_TOOL_ANSWER_H
#define STOKER_TOOL_ANSWER_H

#include "messages.h"
#include "run.h"

struct conversation {
	struct run *run;
	struct messages messages;
	size_t dropped;	   /* messages behind the leading ones that the context has no room for */
	bool told;	   /* that messages were dropped */
	bool edited;	   /* somebody sits at a terminal */
	bool ran;	   /* there is a last answer, */
	char *end_of_turn; /* as end_of_turn() says it */
	struct timing timing;
};

enum answer_result {
	ANSWER_DONE,	/* also one that was stopped: it is as long as it came */
	ANSWER_REFUSED, /* nothing came */
	ANSWER_FAILED,	/* the answer broke off */
};

/*
 * Has the model answer the messages, shows what comes, and adds it to them.  Other results than
 * ANSWER_DONE come after a complaint, unless somebody stopped it, and leave the messages as they
 * were.
 */
enum answer_result answer(struct conversation *c);

#endif
