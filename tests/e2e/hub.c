// SPDX-License-Identifier: MIT
/*
 * A hub on this machine, and a second host that it redirects to, with all that goes wrong on the
 * way. usage: hub MODEL FIRST SECOND LOG [CERTIFICATE KEY]
 *
 * Prints the two ports, MODEL's SHA-256, and a third port that speaks TLS and is like the second;
 * there redirect/ANYTHING?to=ADDRESS leads to any address.  MODEL is what every file holds; a
 * repository's name says how it is served: api/models/test/HOW/revision/NAME tells its commit,
 * api/models/test/HOW/tree/COMMIT lists its files, test/HOW/resolve/COMMIT/FILE redirects to
 * cdn/HOW/FILE on the second port.  LOG gets a line for each request: which port, the address, the
 * range, the condition on it, and the token.
 */
#include <microhttpd.h>

#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COMMIT "1111111111111111111111111111111111111111"
#define OLD_COMMIT "2222222222222222222222222222222222222222"

/* MODEL, FIRST, SECOND */
static struct content {
	char *data, sha256[65];
	size_t bytes;
} contents[3];
static char garbage_sha256[65];
static FILE *log_file;
static unsigned hub_port, cdn_port, tls_port;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned requests; /* to the second port, by what takes turns */
static char last_how[64];

/* One answer's body. */
struct body {
	const struct content *of;
	uint64_t first, bytes, cut; /* of the whole; the connection breaks after @cut bytes */
	unsigned pause_us;	    /* before each 64 KiB */
	bool flip, garbage, alone;
};

/* Whether what is given to one at a time is being given. */
static atomic_bool alone;

static const struct content *content_of(const char *file)
{
	return &contents[strstr(file, "00001-of") ? 1 : strstr(file, "00002-of") ? 2 : 0];
}

static void hash(const char *data, size_t bytes, char hex[65])
{
	unsigned char digest[32];

	EVP_Digest(data, bytes, digest, NULL, EVP_sha256(), NULL);
	for (int i = 0; i < 32; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
}

static void release(void *context)
{
	struct body *b = context;

	if (b->alone)
		atomic_store(&alone, false);
	free(b);
}

static ssize_t give(void *context, uint64_t at, char *out, size_t room)
{
	struct body *b = context;
	const uint64_t from = b->first + at;
	uint64_t n = b->bytes - at;

	if (b->cut && at >= b->cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (at >= b->bytes)
		return MHD_CONTENT_READER_END_OF_STREAM;
	n = n < room ? n : room;
	if (b->cut && n > b->cut - at)
		n = b->cut - at;
	if (b->pause_us) {
		n = n < 65536 ? n : 65536;
		usleep(b->pause_us);
	}
	for (uint64_t i = 0; i < n; i++)
		if (from + i >= b->of->bytes)
			out[i] = 'x';
	if (from < b->of->bytes)
		memcpy(out, b->of->data + from, n < b->of->bytes - from ? n : b->of->bytes - from);
	for (uint64_t i = 0; b->garbage && i < n; i++)
		out[i] = '<';
	if (b->flip && from <= 100000 && 100000 < from + n)
		out[100000 - from] ^= 1;
	return (ssize_t)n;
}

static enum MHD_Result text(struct MHD_Connection *c, unsigned status, const char *header,
			    const char *value, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
static enum MHD_Result text(struct MHD_Connection *c, unsigned status, const char *header,
			    const char *value, const char *fmt, ...)
{
	struct MHD_Response *r;
	enum MHD_Result result;
	va_list args;
	char *body;

	va_start(args, fmt);
	if (vasprintf(&body, fmt, args) < 0)
		abort();
	va_end(args);
	r = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
	if (header)
		MHD_add_response_header(r, header, value);
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

/* What a file is called, its size and hash, as the hub's list has it. */
static char *row(const char *path, uint64_t bytes, const char *oid)
{
	char *out;

	if (asprintf(&out,
		     "{\"type\":\"file\",\"oid\":\"0123\",\"size\":%llu,\"lfs\":{\"oid\":\"%s\","
		     "\"size\":%llu,\"pointerSize\":135},\"path\":\"%s\"}",
		     (unsigned long long)bytes, oid, (unsigned long long)bytes, path) < 0)
		abort();
	return out;
}

/* Both are of the heap. */
static void append(char **all, char *one)
{
	char *more;

	if (asprintf(&more, "%s,%s", *all, one) < 0)
		abort();
	free(*all);
	free(one);
	*all = more;
}

static enum MHD_Result list(struct MHD_Connection *c, const char *how)
{
	const char *cursor = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "cursor");
	const char *token = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
	const char *wrong = strcmp(how, "wronghash") ? NULL : garbage_sha256;
	static const char *const quants[] = { "Q2_K", "Q4_K_M", "Q8_0", "BF16" };
	int64_t more_bytes = 0;
	char link[256] = "",
	     *all = strdup("[{\"type\":\"file\",\"path\":\"README.md\",\"size\":5}");
	const char *names[3] = { "model-Q4_K.gguf" };
	int count = 1;

	if (!strcmp(how, "none"))
		return text(c, 404, NULL, NULL, "{\"error\":\"Repository not found\"}");
	if (!strcmp(how, "private") && (!token || strcmp(token, "Bearer hf_secret") != 0))
		return text(c, 401, NULL, NULL, "{\"error\":\"Invalid credentials\"}");
	if (!strcmp(how, "badlist"))
		return text(c, 200, NULL, NULL, "<html>no list</html>");
	if (!strcmp(how, "shorter"))
		more_bytes = -1000;
	if (!strcmp(how, "longer"))
		more_bytes = 1000;
	if (!strcmp(how, "huge"))
		more_bytes = 1ll << 60;
	if (!strcmp(how, "climb"))
		names[0] = "../../../climbed.gguf";
	if (!strcmp(how, "absolute"))
		names[0] = "/tmp/climbed.gguf";
	if (!strcmp(how, "hidden"))
		names[0] = "a/.b/model.gguf";
	if (!strcmp(how, "escape"))
		names[0] = "a/\\u001b[31m\\nmodel.gguf";
	if (!strcmp(how, "folder"))
		names[0] = "a folder/model-Q4_K.gguf";
	if (!strcmp(how, "mixed")) { /* parts of different models */
		names[0] = "model-00001-of-00002.gguf";
		names[1] = "model-00002-of-00002.gguf";
		count = 2;
	}
	if (!strcmp(how, "split")) {
		names[0] = "model-00002-of-00002.gguf";
		names[1] = "mmproj-F16.gguf";
		names[2] = "model-00001-of-00002.gguf";
		count = 3;
	}
	if (!strcmp(how, "many")) {
		for (int i = 0; i < 4; i++) {
			char name[64];

			sprintf(name, "model-%s.gguf", quants[i]);
			append(&all, row(name, contents[0].bytes << i, contents[0].sha256));
		}
		count = 0;
	}
	if (!strcmp(how, "pages") && !cursor) {
		snprintf(link, sizeof(link),
			 "<http://127.0.0.1:%u/api/models/test/pages/tree/" COMMIT "?cursor=x>; "
			 "rel=\"next\"",
			 hub_port);
		count = 0;
	}
	if (!strcmp(how, "elsewhere")) {
		snprintf(link, sizeof(link), "<http://127.0.0.1:%u/api>; rel=\"next\"", cdn_port);
		count = 0;
	}
	for (int i = 0; i < count; i++) {
		const struct content *m =
			&contents[strcmp(how, "mixed") ? content_of(names[i]) - contents : 2];

		append(&all,
		       row(names[i], m->bytes + (uint64_t)more_bytes, wrong ? wrong : m->sha256));
	}
	const enum MHD_Result result = text(c, 200, *link ? "Link" : NULL, link, "%s]", all);

	free(all);
	return result;
}

/* Only main, two other names, and the commits themselves are there. */
static enum MHD_Result revision(struct MHD_Connection *c, const char *how, const char *name)
{
	const char *token = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
	const char digit = !strcmp(name, "main")				? '1'
			   : !strcmp(name, "old") || !strcmp(name, "refs/pr/1") ? '2'
										: 0;

	if (!strcmp(how, "none") || (!digit && strspn(name, "12") != 40))
		return text(c, 404, NULL, NULL, "{\"error\":\"Repository not found\"}");
	if (!strcmp(how, "private") && (!token || strcmp(token, "Bearer hf_secret") != 0))
		return text(c, 401, NULL, NULL, "{\"error\":\"Invalid credentials\"}");
	if (!strcmp(how, "nocommit"))
		return text(c, 200, NULL, NULL, "{\"sha\":\"../../x\"}");
	if (!digit)
		return text(c, 200, NULL, NULL, "{\"id\":\"test\",\"sha\":\"%s\"}", name);
	return text(c, 200, NULL, NULL, "{\"id\":\"test\",\"sha\":\"%s\"}",
		    digit == '1' ? COMMIT : OLD_COMMIT);
}

static enum MHD_Result redirect(struct MHD_Connection *c, const char *how, const char *file)
{
	static char says[] = "Found. Redirecting to somewhere else";
	struct MHD_Response *r =
		MHD_create_response_from_buffer(strlen(says), says, MHD_RESPMEM_PERSISTENT);
	const struct content *m = strcmp(how, "mixed") ? content_of(file) : contents + 2;
	char to[512], bytes[32], tag[80];
	enum MHD_Result result;

	if (strrchr(file, '/')) /* it was unescaped */
		file = strrchr(file, '/') + 1;
	snprintf(to, sizeof(to), "http://localhost:%u/cdn/%s/%s?signature=abc", cdn_port, how,
		 file);
	if (!strcmp(how, "tohttp"))
		snprintf(to, sizeof(to), "http://example.com/model.gguf");
	if (!strcmp(how, "tofile"))
		snprintf(to, sizeof(to), "file:///etc/passwd");
	if (!strcmp(how, "touser"))
		snprintf(to, sizeof(to), "http://user:word@localhost:%u/cdn/plain/%s", cdn_port,
			 file);
	if (!strcmp(how, "loop"))
		snprintf(to, sizeof(to), "/test/loop/resolve/" COMMIT "/%s", file);
	MHD_add_response_header(r, "Location", to);
	snprintf(bytes, sizeof(bytes), "%zu", m->bytes);
	snprintf(tag, sizeof(tag), "\"%s\"", m->sha256);
	if (strcmp(how, "shorter") != 0 && strcmp(how, "longer") != 0 &&
	    strcmp(how, "wronghash") != 0) {
		MHD_add_response_header(r, "X-Linked-Size", bytes);
		MHD_add_response_header(r, "X-Linked-ETag", tag);
	}
	result = MHD_queue_response(c, 302, r);
	MHD_destroy_response(r);
	return result;
}

/* How often in a row a file was asked for in this way. */
static unsigned turn(const char *how)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	if (strcmp(how, last_how) != 0)
		requests = 0;
	snprintf(last_how, sizeof(last_how), "%s", how);
	n = requests++;
	pthread_mutex_unlock(&lock);
	return n;
}

static bool gives_ranges(const char *how)
{
	static const char *const none[] = { "norange", "norangecut", "chunked", "more" };

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		if (!strcmp(how, none[i]))
			return false;
	return true;
}

static enum MHD_Result serve(struct MHD_Connection *c, const char *how, const struct content *m)
{
	const char *range = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Range");
	const char *if_range = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "If-Range");
	struct body *b = calloc(1, sizeof(*b));
	const unsigned n = turn(how);
	unsigned long long first = 0, last = m->bytes - 1;
	struct MHD_Response *r;
	enum MHD_Result result;
	char line[128], tag[32];
	bool part;

	if (!strcmp(how, "busy") && n < 2)
		return free(b), text(c, 429, "Retry-After", "1", "slow down");
	if (!strcmp(how, "busylong"))
		return free(b), text(c, 429, "Retry-After", "86400", "come back tomorrow");
	if (!strcmp(how, "broken500") && n < 1)
		return free(b), text(c, 503, NULL, NULL, "sorry");
	if (!strcmp(how, "alone") && atomic_exchange(&alone, true)) {
		usleep(2500000); /* until nobody expects it any more */
		return free(b), text(c, 503, "Retry-After", "86400", "one at a time");
	}
	if (!strcmp(how, "gone"))
		return free(b), text(c, 404, NULL, NULL, "not found");
	snprintf(tag, sizeof(tag), "\"v%u\"", strcmp(how, "changing") ? 1 : n);
	part = range && sscanf(range, "bytes=%llu-%llu", &first, &last) >= 1 && gives_ranges(how) &&
	       (!if_range || !strcmp(if_range, tag));
	if (part && first >= m->bytes)
		return free(b), text(c, 416, NULL, NULL, "no such range");
	if (!part)
		first = 0;
	if (!part || last >= m->bytes)
		last = m->bytes - 1;
	if (part && !strcmp(how, "shifted"))
		first += 1; /* not what was asked for */
	*b = (struct body){ .of = m, .first = first, .bytes = last + 1 - first };
	if (!strcmp(how, "slow3") || (!strcmp(how, "slow") && n < 10))
		b->pause_us = 150000;
	else if (!strcmp(how, "slow2") || !strcmp(how, "alone") ||
		 (!strcmp(how, "slowfirst") && n < 1))
		b->pause_us = 35000;
	b->alone = !strcmp(how, "alone");
	b->flip = !strcmp(how, "flip");
	b->garbage = !strcmp(how, "garbage");
	if (!strcmp(how, "cut") || !strcmp(how, "shifted") || !strcmp(how, "changing"))
		b->cut = n < 4 ? 3000000 : 0;
	if (!strcmp(how, "norangecut"))
		b->cut = n < 1 ? 3000000 : 0;
	if (!strcmp(how, "alwayscut"))
		b->cut = 1;
	if (!strcmp(how, "more"))
		b->bytes += 5000;
	if (!strcmp(how, "plain")) { /* as fast as can be, for the measurement */
		r = MHD_create_response_from_buffer(b->bytes, m->data + first,
						    MHD_RESPMEM_PERSISTENT);
		free(b);
	} else
		r = MHD_create_response_from_callback(
			!strcmp(how, "chunked") || !strcmp(how, "endless") ? MHD_SIZE_UNKNOWN
									   : b->bytes,
			1 << 18, give, b, release);
	if (!strcmp(how, "endless"))
		b->bytes = UINT64_MAX / 2;
	MHD_add_response_header(r, "ETag", tag);
	if (part) {
		snprintf(line, sizeof(line), "bytes %llu-%llu/%zu", first, last, m->bytes);
		MHD_add_response_header(r, "Content-Range", line);
	}
	result = MHD_queue_response(c, part ? 206 : 200, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *bytes, void **state)
{
	const char *names[] = { "Range", "If-Range", "Authorization" };
	char how[64] = "", commit[41], file[256] = "";
	const bool hub = context == NULL;

	(void)method, (void)version, (void)data, (void)bytes, (void)state;
	pthread_mutex_lock(&lock);
	fprintf(log_file, "%s %s", hub ? "hub" : "cdn", url);
	for (int i = 0; i < 3; i++) {
		const char *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, names[i]);

		fprintf(log_file, " %s=%s", names[i], value ? value : "-");
	}
	fputc('\n', log_file);
	fflush(log_file);
	pthread_mutex_unlock(&lock);
	if (hub && sscanf(url, "/api/models/test/%63[^/]/revision/%255s", how, file) == 2)
		return revision(c, how, file);
	if (hub && sscanf(url, "/api/models/test/%63[^/]/tree/%40[12]", how, file) == 2)
		return list(c, how);
	if (hub && sscanf(url, "/test/%63[^/]/resolve/%40[12]/%255[^?]", how, commit, file) == 3)
		return redirect(c, how, file);
	if (context == &tls_port && !strncmp(url, "/redirect/", 10))
		return text(c, 302, "Location",
			    MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "to"), "there");
	if (sscanf(url, "/cdn/%63[^/]/%255[^?]", how, file) == 2)
		return serve(c, how, strcmp(how, "mixed") ? content_of(file) : contents + 2);
	return text(c, 404, NULL, NULL, "nothing here");
}

static bool load(const char *path, struct content *m)
{
	const int fd = open(path, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return false;
	m->bytes = (size_t)st.st_size;
	m->data = malloc(m->bytes);
	if (!m->data || read(fd, m->data, m->bytes) != (ssize_t)m->bytes)
		return false;
	close(fd);
	hash(m->data, m->bytes, m->sha256);
	return true;
}

static char *whole_file(const char *path)
{
	struct content m;

	if (!path || !load(path, &m))
		return NULL;
	m.data = realloc(m.data, m.bytes + 1);
	m.data[m.bytes] = 0;
	return m.data;
}

static struct MHD_Daemon *start_tls(const char *certificate, const char *key, unsigned *port)
{
	char *public = whole_file(certificate), *private = whole_file(key);
	struct MHD_Daemon *d = NULL;

	if (public && private)
		d = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD |
					     MHD_USE_THREAD_PER_CONNECTION | MHD_USE_TLS,
				     0, NULL, NULL, answer, port, MHD_OPTION_HTTPS_MEM_CERT, public,
				     MHD_OPTION_HTTPS_MEM_KEY, private, MHD_OPTION_END);
	if (d)
		*port = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port;
	return d;
}

static struct MHD_Daemon *start(void *context, unsigned *port)
{
	struct MHD_Daemon *d =
		MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0,
				 NULL, NULL, answer, context, MHD_OPTION_END);

	if (d)
		*port = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port;
	return d;
}

int main(int argc, char **argv)
{
	struct MHD_Daemon *hub, *cdn;

	if ((argc != 5 && argc != 7) || !(log_file = fopen(argv[4], "ae")))
		return 2;
	for (int i = 0; i < 3; i++)
		if (!load(argv[i + 1], &contents[i]))
			return 1;
	hash("no", 2, garbage_sha256);
	hub = start(NULL, &hub_port);
	cdn = start(&cdn_port, &cdn_port);
	if (!hub || !cdn)
		return 1;
	if (argc == 7)
		start_tls(argv[5], argv[6], &tls_port);
	printf("%u %u %s %u\n", hub_port, cdn_port, contents[0].sha256, tls_port);
	fflush(stdout);
	pause();
	return 0;
}
