// SPDX-License-Identifier: MIT
/* The library in programs whose locale has a decimal comma, or another idea of upper case. */
#include "unit.h"

#include <locale.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER "build/locales"
#define MODEL "tests/data/containers/plain.gguf"

/* The locale, made by localedef if need be; false: it can't be had. */
static bool enter(const char *name)
{
	char path[200], input[16];
	int status;
	pid_t pid;

	mkdir(FOLDER, 0755);
	snprintf(path, sizeof(path), FOLDER "/%s", name);
	snprintf(input, sizeof(input), "%.5s", name);
	fflush(stdout);
	if (access(path, R_OK)) {
		pid = fork();
		if (!pid) {
			if (freopen("/dev/null", "w", stderr))
				execlp("localedef", "localedef", "-i", input, "-f", "UTF-8", path,
				       (char *)NULL);
			_exit(127);
		}
		waitpid(pid, &status, 0);
	}
	setenv("LOCPATH", FOLDER, 1);
	if (setlocale(LC_ALL, name))
		return true;
	unsetenv("LOCPATH");
	skip(name, "localedef or its sources aren't installed (package locales)");
	return false;
}

static void leave(void)
{
	setlocale(LC_ALL, "C");
	unsetenv("LOCPATH");
}

static void check_messages(void)
{
	const struct stoker_sampler_params p = { STOKER_SAMPLER_PARAMS_INIT, .temperature = -1.5f };
	struct stoker_sampler *s;
	struct stoker_error err;
	struct stoker_gguf *g;
	char human[16], text[16];

	CU_ASSERT_EQUAL(stoker_sampler_create(&p, &s, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "-1.5"));
	CU_ASSERT_STRING_EQUAL(stoker_human_size(1536, human), "1.5 KiB");
	CU_ASSERT(stoker_gguf_open("build/no-such-file", &g, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "No such file"));
	/* the program's locale is still its own */
	snprintf(text, sizeof(text), "%.1f", 1.5);
	CU_ASSERT_STRING_EQUAL(text, "1,5");
}

static void check_template(void)
{
	static const char source[] =
		"{{ 1.5 + 0.25 }} {{ strftime_now('%B') }} {{ 'INF' | lower }}";
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
						     .now = 86400 * 150 };
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT };
	struct stoker_template *t;

	CU_ASSERT_EQUAL_FATAL(stoker_template_parse(source, strlen(source), "test", &t, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_template_render(t, NULL, &input, &prompt, NULL), 0);
	CU_ASSERT_STRING_EQUAL(prompt.text, "1.75 May inf");
	stoker_prompt_free(&prompt);
	stoker_template_free(&t);
}

/* Names of formats in upper, lower and mixed case. */
static void check_names(void)
{
	const struct stoker_format *f = NULL;

	while ((f = stoker_format_next(f)) != NULL)
		for (int way = 0; way < 3; way++) {
			char name[32];
			size_t n = 0;

			for (const char *c = stoker_format_name(f); *c && n < 31; c++, n++)
				name[n] = way == 0 || (way == 1 && n % 2) ? ascii_lower(*c) : *c;
			name[n] = 0;
			CU_ASSERT_PTR_EQUAL(stoker_format_by_name(name), f);
		}
	CU_ASSERT_PTR_NULL(stoker_format_by_name("Q4_"));
	CU_ASSERT_PTR_NULL(stoker_format_by_name(""));
}

static void check_profile(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .threads = 1 };
	const uint32_t tokens[3] = { 5, 6, 7 };
	struct stoker_profile *profile;
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *session;
	AUTO_FREE char *text = NULL;
	struct json_object *root;
	size_t bytes;

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, MODEL, NULL, &model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_profile_create(&profile, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_device_profile(device, profile, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, NULL, &session, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(session, tokens, 3, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL(stoker_profile_write(profile, "build/locale.json", NULL), 0);
	stoker_session_free(&session);
	stoker_model_free(&model);
	stoker_device_close(&device);
	stoker_profile_free(&profile);
	text = load_file("build/locale.json", &bytes);
	remove("build/locale.json");
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	leave();
	root = json_tokener_parse(text);
	CU_ASSERT_PTR_NOT_NULL(root);
	json_object_put(root);
}

static void test_decimal_comma(void)
{
	if (!enter("de_DE.UTF-8"))
		return;
	check_messages();
	check_names();
	check_template();
	check_profile();
	leave();
}

static void test_turkish(void)
{
	if (!enter("tr_TR.UTF-8"))
		return;
	check_messages();
	check_names();
	check_template();
	check_profile();
	leave();
}

/* Numbers of the kernel's files are read with a point. */
static void test_pressure_with_a_comma(void)
{
	if (!enter("de_DE.UTF-8"))
		return;
	test_pressure();
	leave();
}

static void test_letters(void)
{
	CU_ASSERT(ascii_same("iQ4_nL", "Iq4_Nl"));
	CU_ASSERT(!ascii_same("a", "ab") && !ascii_same("ab", "a") && ascii_same("", ""));
	CU_ASSERT(ascii_begins("<HTML>", "<html") && !ascii_begins("<h", "<html"));
	CU_ASSERT(ascii_has("AMD Radeon", "radeon") && ascii_has("x", "") && !ascii_has("", "x"));
	CU_ASSERT(!ascii_same("\xc3\x84",
			      "\xc3\xa4")); /* letters of other alphabets are as they are */
}

void suite_locale(void)
{
	TEST(test_letters);
	TEST(test_decimal_comma);
	TEST(test_turkish);
	TEST(test_pressure_with_a_comma);
}
