// SPDX-License-Identifier: MIT
/* Which models a server has, by what names, and which of them are loaded. */
#include "unit.h"

#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "serve/catalogue.h"
#include "serve/metrics.h"
#include "serve/models.h"
#include "serve/models_options.h"

static const char demo[] = "tools/demo-model/stoker-demo-Q4_K.gguf";
static const char *const places[] = { "a.gguf", "b.gguf", "sub/a.gguf", "sub/mmproj-a.gguf",
				      "sub/note.txt" };
static char folder[] = "/tmp/stoker-models-XXXXXX";

static void each_place(void (*act)(const char *path))
{
	char path[256];

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, places[i]);
		act(path);
	}
}

static void link_demo(const char *path)
{
	char target[4096];

	CU_ASSERT_FATAL(realpath(demo, target) && !symlink(target, path));
}

static void unlink_path(const char *path)
{
	unlink(path);
}

static void make_folder(void)
{
	char sub[256];

	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(sub, sizeof(sub), "%s/sub", folder);
	CU_ASSERT_EQUAL_FATAL(mkdir(sub, 0700), 0);
	each_place(link_demo);
}

static void remove_folder(void)
{
	char sub[256];

	each_place(unlink_path);
	snprintf(sub, sizeof(sub), "%s/sub", folder);
	CU_ASSERT(!rmdir(sub) && !rmdir(folder));
}

static const char *found(const struct catalogue *c, const char *name)
{
	const struct catalogue_entry *e = catalogue_find(c, name);

	return e ? e->name : "";
}

static void test_names(void)
{
	const struct string_list paths = { .items = { folder, demo, demo }, .count = 3 };
	struct catalogue c;

	make_folder();
	CU_ASSERT_EQUAL_FATAL(catalogue_open(&paths, "first", &c), EXIT_OK);
	CU_ASSERT_EQUAL(c.count, 5);
	CU_ASSERT_STRING_EQUAL(found(&c, NULL), "first");
	CU_ASSERT_STRING_EQUAL(found(&c, ""), "first");
	CU_ASSERT_STRING_EQUAL(found(&c, "a"), "first");
	CU_ASSERT_STRING_EQUAL(found(&c, "b"), "b");
	CU_ASSERT_STRING_EQUAL(found(&c, "b:latest"), "b");
	CU_ASSERT_STRING_EQUAL(found(&c, "b.gguf"), "b");
	CU_ASSERT_STRING_EQUAL(found(&c, "sub/a"), "sub/a");
	CU_ASSERT_STRING_EQUAL(found(&c, "stoker-demo-Q4_K"), "stoker-demo-Q4_K");
	CU_ASSERT_STRING_EQUAL(found(&c, "stoker-demo-Q4_K-2"), "stoker-demo-Q4_K-2");
	CU_ASSERT_STRING_EQUAL(found(&c, "sub"), "");
	CU_ASSERT_STRING_EQUAL(found(&c, "b:other"), "");
	CU_ASSERT_STRING_EQUAL(found(&c, ":latest"), "");
	CU_ASSERT_STRING_EQUAL(found(&c, "../b"), "");
	CU_ASSERT_STRING_EQUAL(found(&c, demo), "");
	catalogue_free(&c);
	remove_folder();
}

static void test_one_model(void)
{
	const struct string_list paths = { .items = { demo }, .count = 1 };
	const struct string_list nothing = { .items = { "tests/data/containers/nothing-here" },
					     .count = 1 };
	struct catalogue c;

	CU_ASSERT_EQUAL_FATAL(catalogue_open(&paths, NULL, &c), EXIT_OK);
	CU_ASSERT_STRING_EQUAL(found(&c, "gpt-4o"), "stoker-demo-Q4_K");
	catalogue_free(&c);
	CU_ASSERT_NOT_EQUAL(catalogue_open(&nothing, NULL, &c), EXIT_OK);
	CU_ASSERT_EQUAL(c.count, 0);
}

static void count_loaded(void *count, const struct model_entry *entry)
{
	*(unsigned *)count += entry->served != NULL;
}

static unsigned loaded(struct models *m)
{
	unsigned count = 0;

	models_each(m, count_loaded, &count);
	return count;
}

/* The budget has room for one: another makes the one that isn't used leave, and waits for nobody.
 */
static void test_turns(void)
{
	struct models_options o = { .sampling = SAMPLING_DEFAULTS,
				    .max_gap = 0.025,
				    .paths = { .items = { folder }, .count = 1 },
				    .compute = { .memory = "40M" },
				    .context = 256,
				    .sequences = 2,
				    .load_late = true };
	struct metrics *metrics = metrics_create();
	struct served *a, *b, *again;
	struct models_progress progress;
	struct problem p = { 0 };
	struct text text = { 0 };
	struct models *m;

	make_folder();
	CU_ASSERT_EQUAL_FATAL(models_open(&o, metrics, &m), EXIT_OK);
	models_progress(m, &progress);
	CU_ASSERT_EQUAL(progress.state, MODELS_READY);
	CU_ASSERT(!models_take_of(m, "nothing", &a, &p) && p.status == 404);
	CU_ASSERT_STRING_EQUAL(p.code, "model_not_found");
	CU_ASSERT_EQUAL(loaded(m), 0);
	CU_ASSERT_FATAL(models_take_of(m, "a", &a, &p));
	CU_ASSERT_FATAL(models_take_of(m, NULL, &again, &p) && again == a);
	CU_ASSERT_EQUAL(loaded(m), 1);
	CU_ASSERT_STRING_EQUAL(served_name(a), "a");
	CU_ASSERT_EQUAL(served_context(a), 256);
	CU_ASSERT(!strcmp(stoker_template_source(served_template(a, NULL)),
			  stoker_template_bundled("chatml")));
	CU_ASSERT_PTR_EQUAL(served_template(a, "tool_use"), served_template(a, NULL));

	models_release(&a);
	models_release(&again);
	CU_ASSERT(models_take_of(m, "b", &b, &p));
	CU_ASSERT_EQUAL(loaded(m), 1);
	models_release(&b);
	/* what the one that left has done still counts */
	metrics_write(metrics, m, &text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text.data, "\nstoker_generated_tokens_total 4\n"));
	text_free(&text);
	models_close(&m);
	metrics_free(&metrics);
	remove_folder();
}

struct visitor {
	pthread_t thread;
	struct models *models;
	const char *name;
	unsigned served, refused;
};

static void *visit(void *visitor)
{
	struct visitor *v = visitor;

	for (unsigned i = 0; i < 6; i++) {
		struct problem p = { 0 };
		struct served *m;

		if (models_take_of(v->models, v->name, &m, &p)) {
			v->served++;
			CU_ASSERT_STRING_EQUAL(served_name(m), v->name);
			nanosleep(&(struct timespec){ 0, (long)(1000000 * i) }, 0);
			models_release(&m);
		} else {
			v->refused++;
			CU_ASSERT_EQUAL(p.status, 503);
		}
	}
	return NULL;
}

/* Where there is room for one only whoever comes while another is in use is refused, and nobody
 * waits forever. */
static void test_visitors(void)
{
	enum { VISITORS = 4 };
	struct models_options o = { .sampling = SAMPLING_DEFAULTS,
				    .max_gap = 0.025,
				    .paths = { .items = { folder }, .count = 1 },
				    .compute = { .memory = "40M" },
				    .context = 256,
				    .sequences = 2,
				    .load_late = true };
	struct metrics *metrics = metrics_create();
	struct visitor visitors[VISITORS];
	unsigned all = 0, served = 0;
	struct models *m;

	make_folder();
	CU_ASSERT_EQUAL_FATAL(models_open(&o, metrics, &m), EXIT_OK);
	for (unsigned i = 0; i < VISITORS; i++) {
		visitors[i] = (struct visitor){ .models = m, .name = i % 2 ? "a" : "b" };
		pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]);
	}
	for (unsigned i = 0; i < VISITORS; i++) {
		pthread_join(visitors[i].thread, NULL);
		served += visitors[i].served;
		all += visitors[i].served + visitors[i].refused;
	}
	CU_ASSERT(all == 6 * VISITORS && served >= 6);
	CU_ASSERT_EQUAL(loaded(m), 1);
	models_close(&m);
	metrics_free(&metrics);
	remove_folder();
}

/* What a file that can't be loaded is refused with doesn't say where it is. */
static void test_cannot_load(void)
{
	struct models_options o = { .sampling = SAMPLING_DEFAULTS,
				    .max_gap = 0.025,
				    .paths = { .items = { folder }, .count = 1 },
				    .load_late = true };
	struct metrics *metrics = metrics_create();
	char path[256];
	struct problem p = { 0 };
	struct served *b;
	struct models *m;

	make_folder();
	CU_ASSERT_EQUAL_FATAL(models_open(&o, metrics, &m), EXIT_OK);
	snprintf(path, sizeof(path), "%s/b.gguf", folder);
	unlink(path);
	CU_ASSERT(!models_take_of(m, "b", &b, &p) && !b && p.status == 500);
	CU_ASSERT_PTR_NULL(strstr(p.message, folder));
	CU_ASSERT_PTR_NOT_NULL(strstr(p.message, "b.gguf"));
	CU_ASSERT(models_take_of(m, "a", &b, &p));
	models_release(&b);
	/* when the server ends those that are there go on */
	models_stop(m);
	CU_ASSERT(models_take_of(m, "a", &b, &p));
	models_release(&b);
	CU_ASSERT(!models_take_of(m, "sub/a", &b, &p) && p.status == 503);
	models_close(&m);
	metrics_free(&metrics);
	remove_folder();
}

void add_serve_models(void)
{
	TEST(test_names);
	TEST(test_one_model);
	TEST(test_turns);
	TEST(test_visitors);
	TEST(test_cannot_load);
}
