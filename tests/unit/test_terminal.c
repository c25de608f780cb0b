// SPDX-License-Identifier: MIT
/* What a terminal is given. */
#include "unit.h"

#include <locale.h>

#include "terminal.h"

static void expect_visible(const char *text, size_t bytes, const char *wanted)
{
	char *shown = visible_text(text, bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(shown);
	CU_ASSERT_STRING_EQUAL(shown, wanted);
	free(shown);
}

/* Orders to a terminal: the clipboard, its title, clearing; direction; bytes that are no UTF-8. */
static void test_control_characters(void)
{
	expect_visible("", 0, "");
	expect_visible("two\nlines\tand tab", 17, "two\nlines\tand tab");
	expect_visible("\033]52;c;aGk=\a", 12, "^[]52;c;aGk=^G");
	expect_visible("a\0b\r\x7f", 5, "a^@b^M^?");
	expect_visible("\xc2\x9b"
		       "31m\xc2\x80\xc2\x9f\xc2\xa0",
		       11, "<U+009B>31m<U+0080><U+009F>\xc2\xa0");
	expect_visible("\xe2\x80\xae"
		       "evil\xe2\x81\xa9\xd8\x9c\xe2\x80\x8f",
		       15, "<U+202E>evil<U+2069><U+061C><U+200F>");
	expect_visible("\x9b"
		       "2J\xff\xed\xa0\x80",
		       7,
		       "\xef\xbf\xbd"
		       "2J\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	expect_visible("caf\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80", 17,
		       "caf\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80");
	expect_visible("cut \xf0\x9f\x98", 7, "cut \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	expect_visible("\xc0\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd");
}

/* Whatever comes in, what goes out is UTF-8 without orders. */
static void test_any_bytes(void)
{
	random_seed(5);
	for (int round = 0; round < 2000; round++) {
		char text[40];
		const size_t bytes = random_u32() % sizeof(text);
		char *shown, *clean, *again;

		for (size_t i = 0; i < bytes; i++)
			text[i] = (char)random_u32();
		shown = visible_text(text, bytes);
		CU_ASSERT_PTR_NOT_NULL_FATAL(shown);
		again = visible_text(shown, strlen(shown));
		CU_ASSERT_STRING_EQUAL_FATAL(shown, again);
		for (size_t i = 0; shown[i]; i++)
			CU_ASSERT_FATAL((unsigned char)shown[i] >= 0x20 || shown[i] == '\n' ||
					shown[i] == '\t');
		free(again);
		free(shown);
		clean = clean_text(text, bytes);
		again = clean_text(clean, strlen(clean));
		CU_ASSERT_STRING_EQUAL_FATAL(clean, again);
		free(again);
		free(clean);
	}
}

static void test_clean(void)
{
	char *clean = clean_text("a\0b\xff\xc3\xa9\033", 7);

	CU_ASSERT_STRING_EQUAL(clean, "a\xef\xbf\xbd"
				      "b\xef\xbf\xbd\xc3\xa9\033");
	free(clean);
}

static void test_no_terminal(void)
{
	FILE *file = tmpfile();

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_FALSE(has_cursor(file));
	CU_ASSERT_FALSE(has_colours(file));
	show_text(file, "\033[0m", 4);
	rewind(file);
	CU_ASSERT_EQUAL(getc(file), 033);
	fclose(file);
}

void suite_terminal(void)
{
	TEST(test_control_characters);
	TEST(test_any_bytes);
	TEST(test_clean);
	TEST(test_no_terminal);
}
