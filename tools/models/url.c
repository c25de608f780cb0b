// SPDX-License-Identifier: MIT
/* Addresses: taken apart by libcurl, and which of them may be asked. */
#include "models/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "models/libraries.h"

struct address {
	char *scheme, *host, *port, *user, *password, *path;
};

static void release(struct address *a)
{
	char *const all[] = { a->scheme, a->host, a->port, a->user, a->password, a->path };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		libcurl.free(all[i]);
	*a = (struct address){ 0 };
}

static bool take_apart(const char *text, struct address *a)
{
	CURLU *u = libcurl.url();
	bool ok;

	*a = (struct address){ 0 };
	ok = u && !libcurl.url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) &&
	     !libcurl.url_get(u, CURLUPART_SCHEME, &a->scheme, 0);
	if (ok) {
		libcurl.url_get(u, CURLUPART_HOST, &a->host, 0); /* file: has none */
		libcurl.url_get(u, CURLUPART_PORT, &a->port, CURLU_DEFAULT_PORT);
		libcurl.url_get(u, CURLUPART_USER, &a->user, 0);
		libcurl.url_get(u, CURLUPART_PASSWORD, &a->password, 0);
		libcurl.url_get(u, CURLUPART_PATH, &a->path, 0);
	}
	libcurl.url_cleanup(u);
	if (!ok)
		release(a);
	return ok;
}

/* By its name alone: what it resolves to is looked at when the connection is made. */
static bool is_loopback(const char *host)
{
	struct in_addr four;

	if (!strcasecmp(host, "localhost") || !strcmp(host, "[::1]"))
		return true;
	return inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == 127;
}

bool http_is_here(const char *url)
{
	struct address a;
	const bool here = take_apart(url, &a) && a.host && is_loopback(a.host);

	release(&a);
	return here;
}

bool http_same_origin(const char *a, const char *b)
{
	struct address x, y = { 0 };
	const bool same = take_apart(a, &x) && take_apart(b, &y) && x.port && y.port && x.host &&
			  y.host && !strcasecmp(x.scheme, y.scheme) &&
			  !strcasecmp(x.host, y.host) && !strcmp(x.port, y.port);

	release(&x);
	release(&y);
	return same;
}

int http_check_url(const char *url, const char *before, struct stoker_error *err)
{
	const char *from = before ? "; it was redirected there" : "";
	struct address a, b = { 0 };
	const int n = (int)strcspn(url, "?#"); /* what follows may be a secret */
	int ret = 0;

	if (!take_apart(url, &a))
		return store_error(err, -EPERM, "%.*s: no address that can be fetched%s", n, url,
				   from);
	if (before)
		take_apart(before, &b);
	if (strcasecmp(a.scheme, "https") != 0 && strcasecmp(a.scheme, "http") != 0)
		ret = store_error(err, -EPERM,
				  "%.*s: %s addresses aren't fetched, only https ones%s", n, url,
				  a.scheme, from);
	else if (!a.host)
		ret = store_error(err, -EPERM, "%.*s: an address without a host%s", n, url, from);
	else if (a.user || a.password)
		ret = store_error(err, -EPERM,
				  "%s: a user and a password in an address aren't sent%s", a.host,
				  from);
	else if (before && is_loopback(a.host) && !(b.host && is_loopback(b.host)))
		ret = store_error(err, -EPERM,
				  "%.*s: another machine's redirect to this one isn't followed", n,
				  url);
	else if (b.scheme && !strcasecmp(a.scheme, "http") && !strcasecmp(b.scheme, "https"))
		ret = store_error(err, -EPERM, "%.*s: a redirect from https to http isn't followed",
				  n, url);
	else if (!strcasecmp(a.scheme, "http") && !is_loopback(a.host))
		ret = store_error(err, -EPERM,
				  "%.*s: http is for this machine's own addresses, use https%s", n,
				  url, from);
	release(&b);
	release(&a);
	return ret;
}

char *http_path(const char *url)
{
	struct address a;
	char *plain, *path = NULL;
	int length;

	if (!take_apart(url, &a))
		return NULL;
	plain = a.path && *a.path ? libcurl.easy_unescape(NULL, a.path + 1, 0, &length) : NULL;
	if (plain && strlen(plain) == (size_t)length) /* an escaped NUL would cut it */
		path = strdup(plain);
	libcurl.free(plain);
	release(&a);
	return path;
}

char *http_host(const char *url)
{
	struct address a;
	char *host;

	if (!take_apart(url, &a))
		return NULL;
	host = a.host ? strdup(a.host) : NULL;
	release(&a);
	return host;
}

char *http_escape_path(const char *path)
{
	char *all = strdup("");

	while (all && *path) {
		const size_t n = strcspn(path, "/");
		char *part = libcurl.easy_escape(NULL, path, (int)n), *more = NULL;

		if (part || !n)
			more = store_text("%s%s%s", all, n ? part : "", path[n] ? "/" : "");
		libcurl.free(part);
		free(all);
		all = more;
		path += n + (path[n] != 0);
	}
	return all;
}
