// SPDX-License-Identifier: MIT
/* One GET by libcurl, redirects and the token under our own rules. */
#include "models/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "models/libraries.h"

enum {
	MAX_REDIRECTS = 10,
	BUFFER = 256 << 10,
	MAX_HEAD = 256 << 10, /* libcurl has no limit for all lines together */
	MAX_IGNORED = 64 << 10,
	CONNECT_SECONDS = 20,
	IDLE_SECONDS = 30
};

/* One request on its way. */
struct hop {
	struct http *h;
	const struct http_request *q;
	struct http_reply *reply;
	struct stoker_error *err;
	bool hub, plain, begun;
	bool sent_away; /* another machine's redirect led here */
	size_t head;	/* bytes of it so far */
	size_t ignored; /* of a body that isn't wanted */
	int failure;
};

static bool succeeded(const struct http_reply *r)
{
	return r->status == 200 || r->status == 206;
}

static int begin(struct hop *hop)
{
	if (!hop->begun && hop->q->begin)
		hop->failure = hop->q->begin(hop->q->context, hop->reply, hop->err);
	hop->begun = true;
	return hop->failure;
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
	struct hop *hop = context;

	/* nobody reads what else a server has to say, but a redirect isn't complete without it */
	if (!succeeded(hop->reply))
		return (hop->ignored += size * count) > MAX_IGNORED ? 0 : size * count;
	if (begin(hop))
		return 0;
	hop->failure = hop->q->data(hop->q->context, data, size * count, hop->err);
	return hop->failure ? 0 : size * count;
}

/* The value of a line of the head if it has that name. */
static const char *value_of(const char *line, const char *name)
{
	const size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	return line + n + 1 + strspn(line + n + 1, " \t");
}

static bool parse_bytes(const char *text, const char *ends, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !errno && (!*end || strchr(ends, *end)) &&
	       *value <= INT64_MAX;
}

static void take_range(struct http_reply *r, const char *value)
{
	const char *dash = strchr(value, '-'), *slash = strchr(value, '/');

	r->has_range =
		!strncasecmp(value, "bytes ", 6) && dash && slash && dash < slash &&
		parse_bytes(value + 6, "-", &r->first) && parse_bytes(dash + 1, "/", &r->last) &&
		parse_bytes(slash + 1, "", &r->total) && r->first <= r->last && r->last < r->total;
}

/* <https://.../tree/main?cursor=...>; rel="next" */
static void take_next(struct http_reply *r, const char *value)
{
	const char *end = strchr(value, '>');

	if (*value != '<' || !end || !strstr(end, "rel=\"next\""))
		return;
	free(r->next);
	r->next = strndup(value + 1, (size_t)(end - value - 1));
}

static void take_header(struct hop *hop, const char *line)
{
	struct http_reply *r = hop->reply;
	const char *value;
	char hash[ETAG_MAX];

	if (!strncmp(line, "HTTP/", 5)) { /* there may be several: a proxy's, "100 Continue" */
		const char *space = strchr(line, ' ');

		r->status = space ? strtol(space, NULL, 10) : 0;
		r->has_length = r->has_range = false;
		r->etag[0] = 0;
	} else if ((value = value_of(line, "etag")) && strlen(value) < sizeof(r->etag)) {
		snprintf(r->etag, sizeof(r->etag), "%s", value);
	} else if ((value = value_of(line, "content-length"))) {
		r->has_length = parse_bytes(value, "", &r->length);
	} else if ((value = value_of(line, "content-range"))) {
		take_range(r, value);
	} else if ((value = value_of(line, "link"))) {
		take_next(r, value);
	} else if (hop->hub && (value = value_of(line, "x-linked-size"))) {
		if (!parse_bytes(value, "", &r->linked_bytes))
			r->linked_bytes = 0;
	} else if (hop->hub && (value = value_of(line, "x-linked-etag"))) {
		snprintf(hash, sizeof(hash), "%s", value + (*value == '"'));
		hash[strcspn(hash, "\"")] = 0;
		store_hash(hash, r->linked_hash);
	}
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
	struct hop *hop = context;
	char *line;

	hop->head += size * count;
	if (hop->head > MAX_HEAD) {
		hop->failure = store_error(hop->err, -EPERM,
					   "%s: the server's head is longer than %d bytes",
					   hop->q->url, MAX_HEAD);
		return 0;
	}
	line = strndup(data, size * count);
	if (!line)
		return 0;
	line[strcspn(line, "\r\n")] = 0;
	if (*line)
		take_header(hop, line);
	else if (succeeded(hop->reply))
		begin(hop); /* who waits for the first byte may wait for long */
	free(line);
	return hop->failure ? 0 : size * count;
}

static int on_tick(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct hop *hop = context;

	(void)a, (void)b, (void)c, (void)d;
	if (!hop->failure && hop->h->tick && hop->h->tick(hop->h->context))
		hop->failure = store_error(hop->err, -ECANCELED, "interrupted");
	return hop->failure;
}

static bool is_this_machine(const struct curl_sockaddr *to)
{
	const struct sockaddr_in *four = (const void *)&to->addr;
	const struct sockaddr_in6 *six = (const void *)&to->addr;

	if (to->family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> 24 == 127 || !four->sin_addr.s_addr;
	return to->family == AF_INET6 &&
	       (IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr) ||
		(IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) && six->sin6_addr.s6_addr[12] == 127));
}

/* Then it is the proxy's address that is connected to. */
static bool has_proxy(void)
{
	static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "all_proxy",
					     "ALL_PROXY" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (getenv(names[i]) && *getenv(names[i]))
			return true;
	return false;
}

/*
 * Whatever a name resolves to: what isn't encrypted stays on this machine, and no other machine
 * leads us to this one's services.
 */
static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct hop *hop = context;
	(void)purpose;
	if (hop->plain && !is_this_machine(to))
		return CURL_SOCKET_BAD;
	if (hop->sent_away && is_this_machine(to) && !has_proxy())
		return CURL_SOCKET_BAD;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static bool add_header(struct curl_slist **list, const char *fmt, const char *value)
{
	char *line = store_text(fmt, value);
	struct curl_slist *more = line ? libcurl.slist_append(*list, line) : NULL;

	free(line);
	if (more)
		*list = more;
	return more != NULL;
}

static bool add_headers(struct hop *hop, struct curl_slist **headers)
{
	char range[64];

	if (hop->hub && hop->h->token &&
	    !add_header(headers, "Authorization: Bearer %s", hop->h->token))
		return false;
	if (!hop->q->from && !hop->q->end)
		return true;
	snprintf(range, sizeof(range), "%llu-", (unsigned long long)hop->q->from);
	if (hop->q->end)
		snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)hop->q->from,
			 (unsigned long long)hop->q->end - 1);
	if (!add_header(headers, "Range: bytes=%s", range))
		return false;
	/* a weak tag doesn't promise the same bytes */
	return !hop->q->if_range || *hop->q->if_range != '"' ||
	       add_header(headers, "If-Range: %s", hop->q->if_range);
}

/* What curl's own program takes from there, too: certificates that the system's bundle lacks. */
static void set_certificates(CURL *curl)
{
	const char *bundle = getenv("CURL_CA_BUNDLE"), *folder = getenv("SSL_CERT_DIR");

	if (!bundle || !*bundle)
		bundle = getenv("SSL_CERT_FILE");
	if (bundle && *bundle)
		libcurl.easy_setopt(curl, CURLOPT_CAINFO, bundle);
	if (folder && *folder)
		libcurl.easy_setopt(curl, CURLOPT_CAPATH, folder);
}

static void set_options(CURL *curl, struct hop *hop, const char *url, char *error,
			struct curl_slist *headers)
{
	libcurl.easy_reset(curl);
	libcurl.easy_setopt(curl, CURLOPT_URL, url);
	libcurl.easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	libcurl.easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	libcurl.easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	libcurl.easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	libcurl.easy_setopt(curl, CURLOPT_USERAGENT, "stoker/" STOKER_VERSION);
	libcurl.easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)BUFFER);
	libcurl.easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	libcurl.easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	libcurl.easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)IDLE_SECONDS);
	libcurl.easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	libcurl.easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	libcurl.easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	libcurl.easy_setopt(curl, CURLOPT_HEADERDATA, hop);
	libcurl.easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	libcurl.easy_setopt(curl, CURLOPT_WRITEDATA, hop);
	libcurl.easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	libcurl.easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_tick);
	libcurl.easy_setopt(curl, CURLOPT_XFERINFODATA, hop);
	libcurl.easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	libcurl.easy_setopt(curl, CURLOPT_OPENSOCKETDATA, hop);
	set_certificates(curl);
	if (hop->plain)
		libcurl.easy_setopt(curl, CURLOPT_PROXY, ""); /* nor a proxy's */
}

static int perform(struct hop *hop, const char *url)
{
	char error[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = NULL;
	CURL *curl = hop->h->curl;
	curl_off_t wait = 0;
	CURLcode code;
	int ret = 0;

	if (!add_headers(hop, &headers)) {
		libcurl.slist_free_all(headers);
		return store_error(hop->err, -ENOMEM, "out of memory");
	}
	set_options(curl, hop, url, error, headers);
	code = libcurl.easy_perform(curl);
	libcurl.slist_free_all(headers);
	if (!code && succeeded(hop->reply))
		begin(hop); /* a body without bytes */
	if (hop->failure)
		ret = hop->failure;
	else if (code && !(code == CURLE_WRITE_ERROR && !succeeded(hop->reply)))
		ret = store_error(hop->err,
				  code == CURLE_PEER_FAILED_VERIFICATION ||
						  code == CURLE_OUT_OF_MEMORY ||
						  code == CURLE_WEIRD_SERVER_REPLY ||
						  code == CURLE_SSL_CACERT_BADFILE ||
						  code == CURLE_URL_MALFORMAT ||
						  code == CURLE_UNSUPPORTED_PROTOCOL
					  ? -EPERM
					  : -EAGAIN,
				  "%s: %s", url, *error ? error : libcurl.easy_strerror(code));
	if (!libcurl.easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait))
		hop->reply->retry_after = (int64_t)wait;
	return ret;
}

static bool redirects(const struct http_reply *r)
{
	return r->status == 301 || r->status == 302 || r->status == 303 || r->status == 307 ||
	       r->status == 308;
}

int http_get(struct http *h, const struct http_request *q, struct http_reply *reply,
	     struct stoker_error *err)
{
	char *url = strdup(q->url), *to = NULL;
	int ret = url ? 0 : store_error(err, -ENOMEM, "out of memory");
	bool away = false;

	*reply = (struct http_reply){ 0 };
	if (!ret)
		ret = http_check_url(url, NULL, err);
	for (unsigned hops = 0; !ret; hops++) {
		struct hop hop = { .h = h, .q = q, .reply = reply, .err = err };

		hop.hub = http_same_origin(url, h->hub);
		hop.plain = !strncasecmp(url, "http:", 5);
		hop.sent_away = away;
		ret = perform(&hop, url);
		if (ret || !redirects(reply))
			break;
		if (libcurl.easy_getinfo(h->curl, CURLINFO_REDIRECT_URL, &to) || !to)
			ret = store_error(err, -EPERM, "%s: redirected to nowhere", url);
		else if (hops == MAX_REDIRECTS)
			ret = store_error(err, -EPERM, "%s: redirected more than %d times", q->url,
					  MAX_REDIRECTS);
		else
			ret = http_check_url(to, url, err);
		if (ret)
			break;
		away = away || !http_is_here(url);
		to = strdup(to);
		free(url);
		url = to;
		if (!url)
			ret = store_error(err, -ENOMEM, "out of memory");
	}
	free(url);
	return ret;
}

void http_free_reply(struct http_reply *reply)
{
	free(reply->next);
	reply->next = NULL;
}

int http_open(struct http *h, struct stoker_error *err)
{
	const int ret = libcurl_load(err);

	if (ret)
		return ret;
	if (libcurl.global_init(CURL_GLOBAL_DEFAULT))
		return store_error(err, -ENOMEM, "libcurl can't be started");
	h->curl = libcurl.easy_init();
	return h->curl ? 0 : store_error(err, -ENOMEM, "libcurl can't be started");
}

int http_open_another(const struct http *h, struct http *another, struct stoker_error *err)
{
	*another = (struct http){ .hub = h->hub, .token = h->token, .curl = libcurl.easy_init() };
	return another->curl ? 0 : store_error(err, -ENOMEM, "libcurl can't be started");
}

void http_close_another(struct http *another)
{
	libcurl.easy_cleanup(another->curl);
	another->curl = NULL;
}

void http_close(struct http *h)
{
	libcurl.easy_cleanup(h->curl);
	libcurl.global_cleanup();
	h->curl = NULL;
}
