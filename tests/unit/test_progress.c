// SPDX-License-Identifier: MIT
/* Lines that say how far something is. */
#include "unit.h"

#include "progress.h"

static void test_fit(void)
{
	CU_ASSERT_EQUAL(progress_fit("", 5), 0);
	CU_ASSERT_EQUAL(progress_fit("abc", 5), 3);
	CU_ASSERT_EQUAL(progress_fit("abcdef", 5), 5);
	CU_ASSERT_EQUAL(progress_fit("abc", 0), 0);
	/* two bytes in a column, three in two, a mark in none */
	CU_ASSERT_EQUAL(progress_fit("\xc3\xa9\xc3\xa9\xc3\xa9", 2), 4);
	CU_ASSERT_EQUAL(progress_fit("\xe6\x97\xa5\xe6\x9c\xac", 3), 3);
	CU_ASSERT_EQUAL(progress_fit("e\xcc\x81"
				     "a",
				     1),
			3);
	CU_ASSERT_EQUAL(progress_fit("\xff\xff", 1), 1);
}

static void test_name(void)
{
	CU_ASSERT_STRING_EQUAL(file_name("a.gguf"), "a.gguf");
	CU_ASSERT_STRING_EQUAL(file_name("/x/y z/a.gguf"), "a.gguf");
	CU_ASSERT_STRING_EQUAL(file_name("folder/"), "folder/");
}

/* Thousands of steps at once are one line; none is longer than the terminal is wide. */
static void test_lines(void)
{
	struct progress p = { .wanted = true };
	char *written = NULL, name[400];
	size_t bytes = 0, lines = 0, longest = 0;

	memset(name, 'n', sizeof(name));
	name[10] = '\n';
	name[sizeof(name) - 1] = 0;
	p.out = open_memstream(&written, &bytes); /* not a terminal: 80 columns are assumed */
	CU_ASSERT_PTR_NOT_NULL_FATAL(p.out);
	for (int i = 0; i < 5000; i++)
		progress_show(&p, "step %d, %s", i, name);
	CU_ASSERT(p.shown);
	progress_end(&p);
	progress_show(&p, "nothing follows");
	fclose(p.out);
	for (char *at = written; (at = strchr(at, '\r')); at++) {
		const char *end = strchr(at, '\033');

		lines++;
		CU_ASSERT_PTR_NOT_NULL_FATAL(end);
		longest = MAX(longest, (size_t)(end - at) - 1);
	}
	CU_ASSERT(lines >= 2 && lines < 100);
	CU_ASSERT_EQUAL(longest, 79);
	CU_ASSERT_PTR_NULL(strchr(written, '\n'));
	CU_ASSERT_PTR_NULL(strstr(written, "nothing"));
	free(written);

	/* nor before its time */
	p = (struct progress){ .wanted = true, .next = 1e300 };
	CU_ASSERT(!progress_is_due(&p));
}

void suite_progress(void)
{
	TEST(test_fit);
	TEST(test_name);
	TEST(test_lines);
}
