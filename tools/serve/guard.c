// SPDX-License-Identifier: MIT
/* Who may ask. */
#include "serve/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

enum { NAME_BYTES = 254, LENGTH_DIGITS = 18 };

static const char digits[] = "0123456789";

bool guard_is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)address;

	switch (address->sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(four->sin_addr.s_addr) >> 24 == 127;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) && six->sin6_addr.s6_addr[12] == 127);
	default:
		return false;
	}
}

void guard_add_line(struct guard_head *h, const char *name, const char *value)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789"
				    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	if (!value)
		value = "";
	/* "Content-Length :" is one for some and none for others */
	h->odd += !*name || name[strspn(name, token)];
	if (!strcasecmp(name, "Host")) {
		h->hosts++;
		h->host = value;
	} else if (!strcasecmp(name, "Content-Length")) {
		h->lengths++;
		h->length = value;
	} else if (!strcasecmp(name, "Transfer-Encoding")) {
		h->encodings++;
		h->encoding = value;
	} else if (!strcasecmp(name, "Origin")) {
		h->origins++;
		h->origin = value;
	} else if (!strcasecmp(name, "Sec-Fetch-Site")) {
		h->site = value;
	} else if (!strcasecmp(name, "Sec-Fetch-Mode")) {
		h->mode = value;
	} else if (!strcasecmp(name, "Authorization")) {
		h->keys++;
		h->bearer = value;
	} else if (!strcasecmp(name, "x-api-key")) {
		h->key = value;
	}
}

bool guard_check_framing(const struct guard_head *h, struct problem *p)
{
	if (h->odd)
		return problem_set(p, 400, NULL, NULL, "a line of the head has an odd name");
	if (h->hosts > 1 || h->origins > 1 || h->keys > 1)
		return problem_set(p, 400, NULL, NULL, "a line is in the head twice: %s",
				   h->hosts > 1	    ? "Host"
				   : h->origins > 1 ? "Origin"
						    : "Authorization");
	if (h->lengths > 1 || h->encodings > 1 || (h->lengths && h->encodings))
		return problem_set(p, 400, NULL, NULL,
				   "there is more than one Content-Length or Transfer-Encoding");
	if (h->length && (!*h->length || strspn(h->length, digits) != strlen(h->length) ||
			  strlen(h->length) > LENGTH_DIGITS))
		return problem_set(p, 400, NULL, NULL, "Content-Length isn't a number of bytes");
	if (h->encoding && strcasecmp(h->encoding, "chunked") != 0)
		return problem_set(p, 400, NULL, NULL,
				   "Transfer-Encoding has to be chunked, others aren't known");
	return true;
}

/* The name or address without its port, small letters, no dot at the end. */
static bool read_host(const char *text, char name[NAME_BYTES])
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
	const bool six = *text == '[';
	const size_t length = six ? strcspn(text + 1, "]") : strcspn(text, ":");
	const char *rest = text + length + (six ? 1 : 0);
	size_t kept = length;

	if (six && *rest++ != ']')
		return false;
	if (*rest == ':')
		rest += 1 + strspn(rest + 1, digits);
	if (!length || length >= NAME_BYTES || *rest)
		return false;
	for (size_t i = 0; i < length; i++) {
		const char c = text[i + six];

		name[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
	}
	if (!six && kept > 1 && name[kept - 1] == '.')
		kept--;
	name[kept] = 0;
	return strspn(name, six ? "0123456789abcdef:." : chars) == kept;
}

static bool ends_with(const char *text, const char *end)
{
	const size_t length = strlen(text), n = strlen(end);

	return length > n && !strcmp(text + length - n, end);
}

/* An address in a Host is where the browser went: no name of anybody's leads there. */
static bool is_own_address(const char *name, bool open)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, name, &four.sin_addr) == 1)
		return open || guard_is_loopback((struct sockaddr *)&four);
	if (inet_pton(AF_INET6, name, &six.sin6_addr) == 1)
		return open || guard_is_loopback((struct sockaddr *)&six);
	return false;
}

static bool is_own_name(const struct guard_rules *rules, const char *host)
{
	char name[NAME_BYTES];

	if (!read_host(host, name))
		return false;
	if (!strcmp(name, "localhost") || ends_with(name, ".localhost") ||
	    is_own_address(name, rules->open) || (rules->host && !strcasecmp(name, rules->host)))
		return true;
	for (size_t i = 0; i < rules->names->count; i++)
		if (!strcasecmp(name, rules->names->items[i]))
			return true;
	return false;
}

bool guard_allows_origin(const struct guard_rules *rules, const char *origin)
{
	for (size_t i = 0; i < rules->origins->count; i++)
		if (!strcasecmp(origin, rules->origins->items[i]))
			return true;
	return false;
}

/* Our own page, by whatever name it was asked for: that name is one of ours. */
static bool is_same_origin(const char *origin, const char *host)
{
	const char *rest = strstr(origin, "://");

	return rest &&
	       (!strncasecmp(origin, "http://", 7) || !strncasecmp(origin, "https://", 8)) &&
	       host && !strcasecmp(rest + 3, host);
}

bool guard_check_names(const struct guard_head *h, const struct guard_rules *rules, bool local,
		       struct problem *p)
{
	/* HTTP/1.0 has none, and no browser speaks it */
	if (h->host && !local && !is_own_name(rules, h->host))
		return problem_set(p, 403, NULL, NULL,
				   "the server isn't called %.100s; --allow-host makes it",
				   h->host);
	if (h->origin && !is_same_origin(h->origin, h->host) &&
	    !guard_allows_origin(rules, h->origin))
		return problem_set(p, 403, NULL, NULL,
				   "pages of %.100s may not ask; --allow-origin lets them",
				   h->origin);
	/* without an Origin: a picture, a script, a form of another page; but a link may lead here
	 */
	if (!h->origin && h->site && strcmp(h->site, "same-origin") != 0 &&
	    strcmp(h->site, "none") != 0 && (!h->mode || strcmp(h->mode, "navigate") != 0))
		return problem_set(p, 403, NULL, NULL, "pages of other sites may not ask");
	return true;
}
