// SPDX-License-Identifier: MIT
/* Who may ask the server: names, pages, keys, and heads that mean two things. */
#include "unit.h"

#include <arpa/inet.h>

#include "serve/guard.h"

static void add(struct guard_head *h, const char *const *lines)
{
	for (; *lines; lines += 2)
		guard_add_line(h, lines[0], lines[1]);
}

#define LINES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static bool is_framed(const char *const *lines)
{
	struct guard_head h = { 0 };
	struct problem p = { 0 };
	bool ok;

	add(&h, lines);
	ok = guard_check_framing(&h, &p);
	CU_ASSERT_EQUAL(p.status, ok ? 0 : 400);
	return ok;
}

static void test_framing(void)
{
	CU_ASSERT_TRUE(is_framed(LINES("Host", "a", "Content-Length", "12")));
	CU_ASSERT_TRUE(is_framed(LINES("Transfer-Encoding", "Chunked")));
	CU_ASSERT_FALSE(is_framed(LINES("Content-Length", "1", "content-length", "1")));
	CU_ASSERT_FALSE(is_framed(LINES("Content-Length", "1", "Transfer-Encoding", "chunked")));
	CU_ASSERT_FALSE(
		is_framed(LINES("Transfer-Encoding", "chunked", "transfer-encoding", "chunked")));
	CU_ASSERT_FALSE(is_framed(LINES("Transfer-Encoding", "xchunked")));
	CU_ASSERT_FALSE(is_framed(LINES("Transfer-Encoding", "chunked, gzip")));
	CU_ASSERT_FALSE(is_framed(LINES("Transfer-Encoding", "")));
	CU_ASSERT_FALSE(is_framed(LINES("Content-Length", "")));
	CU_ASSERT_FALSE(is_framed(LINES("Content-Length", "+1")));
	CU_ASSERT_FALSE(is_framed(LINES("Content-Length", "-1")));
	CU_ASSERT_FALSE(is_framed(LINES("Content-Length", "0x10")));
	CU_ASSERT_FALSE(is_framed(LINES("Content-Length", "1, 1")));
	CU_ASSERT_FALSE(is_framed(LINES("Content-Length", "18446744073709551617")));
	CU_ASSERT_FALSE(is_framed(LINES("Content-Length ", "1")));
	CU_ASSERT_FALSE(is_framed(LINES("Content\tLength", "1")));
	CU_ASSERT_FALSE(is_framed(LINES("", "1")));
	CU_ASSERT_FALSE(is_framed(LINES("Host", "a", "Host", "a")));
	CU_ASSERT_FALSE(is_framed(LINES("Origin", "a", "Origin", "a")));
	CU_ASSERT_FALSE(is_framed(LINES("Authorization", "a", "Authorization", "a")));
}

static const struct string_list names = { { "chat.example" }, 1 };
static const struct string_list origins = { { "https://app.example" }, 1 };

static bool may_ask(bool open, const char *const *lines)
{
	const struct guard_rules rules = {
		.names = &names,
		.origins = &origins,
		.host = "box.lan",
		.open = open,
	};
	struct guard_head h = { 0 };
	struct problem p = { 0 };
	bool ok;

	add(&h, lines);
	ok = guard_check_names(&h, &rules, false, &p);
	CU_ASSERT_EQUAL(p.status, ok ? 0 : 403);
	return ok;
}

#define HOST(name) may_ask(false, LINES("Host", name))

static void test_hosts(void)
{
	CU_ASSERT_TRUE(HOST("localhost"));
	CU_ASSERT_TRUE(HOST("LocalHost.:8080"));
	CU_ASSERT_TRUE(HOST("x.localhost:1"));
	CU_ASSERT_TRUE(HOST("127.0.0.1:8080"));
	CU_ASSERT_TRUE(HOST("127.9.9.9"));
	CU_ASSERT_TRUE(HOST("[::1]:8080"));
	CU_ASSERT_TRUE(HOST("[::ffff:127.0.0.1]"));
	CU_ASSERT_TRUE(HOST("chat.example"));
	CU_ASSERT_TRUE(HOST("Box.LAN:80"));
	CU_ASSERT_FALSE(HOST("evil.example"));
	CU_ASSERT_FALSE(HOST("127.0.0.1.evil.example"));
	CU_ASSERT_FALSE(HOST("localhost.evil.example"));
	CU_ASSERT_FALSE(HOST("evillocalhost"));
	CU_ASSERT_FALSE(HOST(".localhost"));
	CU_ASSERT_FALSE(HOST("localhost:80@evil.example"));
	CU_ASSERT_FALSE(HOST("evil.example#localhost"));
	CU_ASSERT_FALSE(HOST("127.0.0.1:80 evil"));
	CU_ASSERT_FALSE(HOST("[::1]evil"));
	CU_ASSERT_FALSE(HOST("[::1"));
	CU_ASSERT_FALSE(HOST("[localhost]"));
	CU_ASSERT_FALSE(HOST(""));
	CU_ASSERT_FALSE(HOST(":80"));
	CU_ASSERT_FALSE(HOST("192.168.1.5"));
	CU_ASSERT_FALSE(HOST("0.0.0.0:8080"));
	/* an address leads nowhere else */
	CU_ASSERT_TRUE(may_ask(true, LINES("Host", "192.168.1.5:8080")));
	CU_ASSERT_TRUE(may_ask(true, LINES("Host", "[fe80::1]")));
	CU_ASSERT_FALSE(may_ask(true, LINES("Host", "evil.example")));
}

#define ORIGIN(origin) may_ask(false, LINES("Host", "localhost:80", "Origin", origin))
#define FETCH(...) may_ask(false, LINES("Host", "localhost:80", __VA_ARGS__))

static void test_origins(void)
{
	struct guard_head h = { .origin = "http://evil.example", .host = "whatever" };
	const struct guard_rules rules = { .names = &names, .origins = &origins };
	struct problem p;

	CU_ASSERT_TRUE(ORIGIN("http://localhost:80"));
	CU_ASSERT_TRUE(ORIGIN("https://app.example"));
	CU_ASSERT_FALSE(ORIGIN("http://localhost"));
	CU_ASSERT_FALSE(ORIGIN("http://localhost:81"));
	CU_ASSERT_FALSE(ORIGIN("http://localhost:80.evil.example"));
	CU_ASSERT_FALSE(ORIGIN("ftp://localhost:80"));
	CU_ASSERT_FALSE(ORIGIN("http://evil.example"));
	CU_ASSERT_FALSE(ORIGIN("http://app.example"));
	CU_ASSERT_FALSE(ORIGIN("null"));
	CU_ASSERT_FALSE(ORIGIN(""));
	/* pictures and scripts of pages elsewhere send none */
	CU_ASSERT_TRUE(FETCH("Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors"));
	CU_ASSERT_TRUE(FETCH("Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"));
	CU_ASSERT_TRUE(FETCH("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"));
	CU_ASSERT_FALSE(FETCH("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"));
	CU_ASSERT_FALSE(FETCH("Sec-Fetch-Site", "same-site"));
	/* a Unix socket has any name, but still no pages of others */
	CU_ASSERT_FALSE(guard_check_names(&h, &rules, true, &p));
	h.origin = NULL;
	CU_ASSERT_TRUE(guard_check_names(&h, &rules, true, &p));
}

static uint64_t try_key(const struct keys *keys, const char *const *lines)
{
	struct guard_head h = { 0 };
	struct problem p = { 0 };
	uint64_t salt = 1;
	bool ok;

	add(&h, lines);
	ok = keys_check(keys, &h, &salt, &p);
	CU_ASSERT_EQUAL(p.status, ok ? 0 : 401);
	CU_ASSERT_EQUAL(ok, salt != 0 || !keys->count);
	return salt;
}

static void test_keys(void)
{
	static const char text[] = "# mine\n\n  sk-one \r\nsk-two";
	char why[128], longest[KEY_BYTES + 1];
	struct keys keys;
	uint64_t one;

	CU_ASSERT_TRUE_FATAL(keys_parse(&keys, text, sizeof(text) - 1, why));
	CU_ASSERT_EQUAL(keys.count, 2);
	one = try_key(&keys, LINES("Authorization", "Bearer sk-one"));
	CU_ASSERT_NOT_EQUAL(one, 0);
	CU_ASSERT_EQUAL(try_key(&keys, LINES("authorization", "bearer   sk-one")), one);
	CU_ASSERT_EQUAL(try_key(&keys, LINES("X-Api-Key", "sk-one")), one);
	CU_ASSERT_NOT_EQUAL(try_key(&keys, LINES("x-api-key", "sk-two")), one);
	CU_ASSERT_NOT_EQUAL(try_key(&keys, LINES("x-api-key", "sk-two")), 0);
	CU_ASSERT_EQUAL(try_key(&keys, LINES("x-api-key", "sk-on")), 0);
	CU_ASSERT_EQUAL(try_key(&keys, LINES("x-api-key", "sk-one1")), 0);
	CU_ASSERT_EQUAL(try_key(&keys, LINES("x-api-key", "")), 0);
	CU_ASSERT_EQUAL(try_key(&keys, LINES("Host", "x")), 0);
	CU_ASSERT_EQUAL(try_key(&keys, LINES("Authorization", "Basic sk-one")), 0);
	CU_ASSERT_EQUAL(try_key(&keys, LINES("Authorization", "Bearer # mine")), 0);
	memset(longest, 'x', KEY_BYTES);
	longest[KEY_BYTES] = 0;
	CU_ASSERT_EQUAL(try_key(&keys, LINES("x-api-key", longest)), 0);
	keys_free(&keys);
	CU_ASSERT_EQUAL(try_key(&keys, LINES("Host", "x")), 0);
	CU_ASSERT_TRUE(keys_parse(&keys, longest, KEY_BYTES - 1, why));
	CU_ASSERT_NOT_EQUAL(try_key(&keys, LINES("x-api-key", longest + 1)), 0);
	keys_free(&keys);
	CU_ASSERT_FALSE(keys_parse(&keys, longest, KEY_BYTES, why));
	CU_ASSERT_FALSE(keys_parse(&keys, "# a\n \n", 6, why));
	CU_ASSERT_FALSE(keys_parse(&keys, "a\0b", 3, why));
}

static void test_addresses(void)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	const struct sockaddr local = { .sa_family = AF_UNIX };

	CU_ASSERT_TRUE(guard_is_loopback(&local));
	CU_ASSERT_FALSE(guard_is_loopback((struct sockaddr *)&four)); /* 0.0.0.0 */
	CU_ASSERT_FALSE(guard_is_loopback((struct sockaddr *)&six));
	inet_pton(AF_INET, "127.3.2.1", &four.sin_addr);
	inet_pton(AF_INET6, "::1", &six.sin6_addr);
	CU_ASSERT_TRUE(guard_is_loopback((struct sockaddr *)&four));
	CU_ASSERT_TRUE(guard_is_loopback((struct sockaddr *)&six));
	inet_pton(AF_INET6, "::ffff:10.0.0.1", &six.sin6_addr);
	CU_ASSERT_FALSE(guard_is_loopback((struct sockaddr *)&six));
}

void add_serve_guard(void)
{
	TEST(test_framing);
	TEST(test_hosts);
	TEST(test_origins);
	TEST(test_keys);
	TEST(test_addresses);
}
