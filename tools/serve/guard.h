/* SPDX-License-Identifier: MIT */
/*
 * Who may ask: pure functions over what a request says of itself.  A page of another site can make
 * a browser ask us, and by a name of its own that leads here (DNS rebinding) read the answer: hence
 * only names that are known to be ours, and no requests that pages of others have made.
 */
#ifndef STOKER_SERVE_GUARD_H
#define STOKER_SERVE_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "serve/problem.h"
#include "tool.h"

/* Nobody but this machine reaches it; Unix sockets, too. */
bool guard_is_loopback(const struct sockaddr *address);

/* Lines of a request's head that must not be there twice, or have to be as they should. */
struct guard_head {
	unsigned hosts, lengths, encodings, origins, keys, odd;
	const char *host, *length, *encoding, *origin, *site, *mode, *bearer, *key;
};
void guard_add_line(struct guard_head *h, const char *name, const char *value);

/* Where its body ends can't be told for certain, or differently by others: to be hung up on. */
bool guard_check_framing(const struct guard_head *h, struct problem *p);

struct guard_rules {
	const struct string_list *names;   /* that are ours beside localhost */
	const struct string_list *origins; /* whose pages may ask */
	const char *host;		   /* the one that we listen on, by name */
	bool open;			   /* to other machines: any address is ours */
};
/* @local: by a Unix socket, which no browser knows, under any name. */
bool guard_check_names(const struct guard_head *h, const struct guard_rules *rules, bool local,
		       struct problem *p);
/* Whether a page of @origin may ask, and read the answer. */
bool guard_allows_origin(const struct guard_rules *rules, const char *origin);

/* API keys, and what stands for each where prompts are compared. */
enum { KEYS_MOST = 1024, KEY_BYTES = 256 };
struct keys {
	struct key {
		char text[KEY_BYTES]; /* filled up with zeroes */
		uint64_t salt;	      /* random */
	} * items;
	size_t count;
};
/* One a line; empty lines and those that begin with # don't count.  false: @why says why. */
bool keys_parse(struct keys *keys, const char *text, size_t bytes, char why[128]);
void keys_free(struct keys *keys);
/* Takes the same time whatever the key.  false: 401. */
bool keys_check(const struct keys *keys, const struct guard_head *h, uint64_t *salt,
		struct problem *p);

#endif
