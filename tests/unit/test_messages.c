// SPDX-License-Identifier: MIT
/* Conversations in files: what is written comes back, and what others wrote is checked. */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "messages.h"

static char folder[] = "/tmp/stoker-messages-XXXXXX";

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

/* What is said on standard error stays out of the tests' output; it ends up in @said. */
static bool quietly(bool (*call)(struct messages *m, const char *path), struct messages *m,
		    const char *path, char *said, size_t room)
{
	FILE *to = tmpfile();
	const int old = dup(2);
	bool ok;

	fflush(stderr);
	dup2(fileno(to), 2);
	ok = call(m, path);
	fflush(stderr);
	dup2(old, 2);
	close(old);
	rewind(to);
	said[fread(said, 1, room - 1, to)] = 0;
	fclose(to);
	return ok;
}

static bool save(struct messages *m, const char *path)
{
	return messages_save(m, path);
}

static void expect_refused(const char *text, size_t bytes, const char *why)
{
	struct messages m = { .items = NULL };
	char said[512];
	FILE *f = fopen(in_folder("hostile"), "we");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fwrite(text, 1, bytes, f);
	fclose(f);
	messages_add(&m, "user", "stays", NULL);
	CU_ASSERT_FALSE(quietly(messages_load, &m, in_folder("hostile"), said, sizeof(said)));
	if (!strstr(said, why))
		printf("\n    \"%s\" lacks \"%s\"", said, why);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, why));
	CU_ASSERT_EQUAL(m.count, 1);
	messages_free(&m);
	unlink(in_folder("hostile"));
}

#define REFUSED(text, why) expect_refused(text, sizeof(text) - 1, why)

static void test_hostile(void)
{
	static char many[600000];
	char deep[500];

	REFUSED("", "unexpected end");
	REFUSED("[", "unexpected end");
	REFUSED("hello", "not JSON");
	REFUSED("[] []", "not JSON");
	REFUSED("[]\0[]", "not JSON");
	REFUSED("12", "neither a list");
	REFUSED("null", "neither a list");
	REFUSED("{\"messages\": {}}", "neither a list");
	REFUSED("{\"message\": []}", "neither a list");
	REFUSED("[1]", "message 1");
	REFUSED("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\"}]", "message 2");
	REFUSED("[{\"content\":\"a\"}]", "message 1");
	REFUSED("[{\"role\":7,\"content\":\"a\"}]", "message 1");
	REFUSED("[{\"role\":\"\",\"content\":\"a\"}]", "message 1");
	REFUSED("[{\"role\":\"user\",\"content\":null}]", "message 1");
	REFUSED("[{\"role\":\"user\",\"content\":\"a\\u0000b\"}]", "message 1");
	REFUSED("[{\"role\":\"user\",\"content\":\"a\",\"name\":[]}]", "message 1");
	REFUSED("[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]", "message 1");
	REFUSED("[{\"role\":\"user\",\"content\":[\"a\"]}]", "message 1");
	REFUSED("[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":\"x\"}]", "message 1");
	REFUSED("[{\"role\":\"user\",\"content\":\"\xff\"}]", "not JSON");
	memset(deep, '[', sizeof(deep));
	expect_refused(deep, sizeof(deep), "not JSON");
	for (size_t i = 0; i + 3 <= sizeof(many); i += 3)
		memcpy(many + i, "{},", 3);
	many[0] = '[';
	expect_refused(many, sizeof(many), "values, limit 200000");
}

static void test_round_trip(void)
{
	struct messages m = { .items = NULL }, back = { .items = NULL };
	struct stat s;
	char said[512];

	messages_add(&m, "system", "Be \"brief\"\n", NULL);
	messages_add(&m, "user", "caf\xc3\xa9 \xf0\x9f\x98\x80 \\ / \x01", NULL);
	messages_add(&m, "assistant", "", "hm");
	m.items[2].tool_calls = strdup("[{\"id\":\"a/b\",\"x\":[1,2.5,null]}]");
	m.items[1].name = strdup("someone");
	CU_ASSERT_FATAL(messages_save(&m, in_folder("a.json")));
	CU_ASSERT_EQUAL(stat(in_folder("a.json"), &s), 0);
	CU_ASSERT_EQUAL(s.st_mode & 0777, 0600);
	CU_ASSERT_FATAL(messages_load(&back, in_folder("a.json")));
	CU_ASSERT_EQUAL_FATAL(back.count, 3);
	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT_STRING_EQUAL(back.items[i].role, m.items[i].role);
		CU_ASSERT_STRING_EQUAL(back.items[i].content, m.items[i].content);
	}
	CU_ASSERT_STRING_EQUAL(back.items[2].reasoning, "hm");
	CU_ASSERT_STRING_EQUAL(back.items[2].tool_calls, m.items[2].tool_calls);
	CU_ASSERT_STRING_EQUAL(back.items[1].name, "someone");
	/* over itself, also by a link, which stays one; never over something else */
	messages_truncate(&m, 1);
	CU_ASSERT_EQUAL(symlink("a.json", in_folder("link")), 0);
	CU_ASSERT(messages_save(&m, in_folder("link")));
	CU_ASSERT(!lstat(in_folder("link"), &s) && S_ISLNK(s.st_mode));
	CU_ASSERT_FATAL(messages_load(&back, in_folder("a.json")));
	CU_ASSERT_EQUAL(back.count, 1);
	FILE *f = fopen(in_folder("diary"), "we");

	fputs("dear", f);
	fclose(f);
	CU_ASSERT_FALSE(quietly(save, &m, in_folder("diary"), said, sizeof(said)));
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "isn't a conversation"));
	CU_ASSERT_FALSE(quietly(save, &m, in_folder("no/such"), said, sizeof(said)));
	CU_ASSERT_FALSE(quietly(save, &m, folder, said, sizeof(said)));
	CU_ASSERT_FALSE(quietly(save, &m, "/dev/full", said, sizeof(said)));
	CU_ASSERT_FALSE(quietly(messages_load, &m, in_folder("none"), said, sizeof(said)));
	CU_ASSERT_FALSE(quietly(messages_load, &m, "/dev/zero", said, sizeof(said)));
	CU_ASSERT_FALSE(quietly(messages_load, &m, folder, said, sizeof(said)));
	CU_ASSERT_EQUAL(mkfifo(in_folder("fifo"), 0600), 0);
	CU_ASSERT_FALSE(quietly(messages_load, &m, in_folder("fifo"), said, sizeof(said)));
	messages_free(&m);
	messages_free(&back);
	unlink(in_folder("a.json"));
	unlink(in_folder("link"));
	unlink(in_folder("diary"));
	unlink(in_folder("fifo"));
}

static void test_foreign_forms(void)
{
	struct messages m = { .items = NULL };
	FILE *f = fopen(in_folder("b.json"), "we");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("{\"model\":\"x\",\"messages\":[{\"role\":\"developer\",\"content\":[{\"type\":"
	      "\"text\","
	      "\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\","
	      "\"content\":null,\"tool_calls\":[]}]}",
	      f);
	fclose(f);
	CU_ASSERT_FATAL(messages_load(&m, in_folder("b.json")));
	CU_ASSERT_EQUAL(m.count, 2);
	CU_ASSERT_STRING_EQUAL(m.items[0].content, "ab");
	CU_ASSERT_PTR_NULL(m.items[1].content);
	CU_ASSERT(messages_save(&m, in_folder("b.json")));
	CU_ASSERT(messages_load(&m, in_folder("b.json")));
	CU_ASSERT_PTR_NULL(m.items[1].content);
	messages_free(&m);
	unlink(in_folder("b.json"));
}

static void test_system(void)
{
	struct messages m = { .items = NULL };

	CU_ASSERT(messages_set_system(&m, ""));
	CU_ASSERT_EQUAL(m.count, 0);
	messages_add(&m, "user", "u", NULL);
	CU_ASSERT(messages_set_system(&m, "one"));
	CU_ASSERT_STRING_EQUAL(m.items[0].content, "one");
	CU_ASSERT_STRING_EQUAL(m.items[1].content, "u");
	CU_ASSERT(messages_set_system(&m, "two"));
	CU_ASSERT_EQUAL(m.count, 2);
	CU_ASSERT_EQUAL(messages_leading(&m), 1);
	CU_ASSERT_STRING_EQUAL(m.items[0].content, "two");
	CU_ASSERT(messages_set_system(&m, ""));
	CU_ASSERT_EQUAL(m.count, 1);
	CU_ASSERT_STRING_EQUAL(m.items[0].content, "u");
	messages_free(&m);
	CU_ASSERT(messages_set_system(&m, "alone"));
	CU_ASSERT(messages_set_system(&m, "alone again"));
	CU_ASSERT_EQUAL(m.count, 1);
	messages_free(&m);
}

static void test_messages_folder(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	test_hostile();
	test_round_trip();
	test_foreign_forms();
	CU_ASSERT_EQUAL(rmdir(folder), 0); /* no leftovers */
}

void suite_messages(void)
{
	TEST(test_messages_folder);
	TEST(test_system);
}
