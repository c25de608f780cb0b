/* SPDX-License-Identifier: MIT */
/* What the unit suites share. */
#ifndef STOKER_TEST_UNIT_H
#define STOKER_TEST_UNIT_H

#include <CUnit/CUnit.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>

#include "base/base.h"
#include "stoker/stoker.h"

void suite_base(void);
void suite_pool(void);
void suite_cpus(void);
void suite_cache(void);
void suite_profile(void);
void suite_formats(void);
void suite_encoders(void);
void suite_gguf(void);
void suite_store(void);
void suite_kmod(void);
void suite_template(void);
void suite_text(void);
void suite_grammar(void);
void add_grammar_tokens(void);
void add_grammar_sampler(void);
void suite_regex(void);
void suite_schema(void);
void suite_vocabulary(void);
void suite_ops(void);
void suite_session(void);
void suite_sampler(void);
void add_sampler_limits(void);
void add_sampler_texts(void);
void add_fallback(void);
void suite_promises(void);
void suite_fork(void);
void suite_locale(void);
void suite_misuse(void);
void suite_sized(void);
void suite_log(void);
void suite_custom(void);
void suite_missing_memory(void);
void suite_lifetimes(void);

void suite_vulkan(void);
void suite_serve_fields(void);
void suite_serve_chat(void);
void suite_serve_responses(void);
void suite_enumerate(void);
void suite_pager(void);
void test_pressure(void); /* of that suite, for others with another locale */
void suite_budget(void);
void suite_paging(void);
void suite_pages(void);
void suite_batch(void);
void suite_schedules(void);
void suite_engine(void);
void add_engine_plans(void);
void add_engine_life(void);
void add_engine_room(void);
void add_engine_turns(void);
void suite_embedding(void);
void suite_state(void);
void add_state_pages(void);
void add_state_killed(void);
void add_batch_calls(void);
void add_batch_memory(void);
void add_batch_prefix(void);
void add_batch_random(void);
void add_checkpoints(void);
void add_shift(void);
void suite_vectors(void);
void suite_bench(void);
void add_bench_serve(void);
void suite_odd_files(void);
void suite_understood(void);
void suite_formulas(void);
void suite_scattered(void);
void suite_observe(void);
void suite_terminal(void);
void suite_progress(void);
void suite_reasoning(void);
void suite_reuse(void);
void suite_messages(void);
void suite_serve(void);
void suite_generation(void);
void add_serve_generation(void);
void suite_serve_dialects(void);
void suite_serve_prompts(void);
void suite_serve_replies(void);
void suite_calls(void);
void add_calls_grammar(void);
void add_serve_models(void);
void add_serve_guard(void);
void add_calls_memory(void);
void add_calls_messages(void);
void add_calls_templates(void);

/* One test of the suite that was added last. */
#define TEST(function)                                                                             \
	CU_ADD_TEST(CU_get_suite_by_index(CU_get_registry()->uiNumberOfSuites, CU_get_registry()), \
		    function)

/* The folder of reference vectors, or NULL after saying that @what is skipped. */
const char *vectors_folder(const char *what);
void skip(const char *what, const char *why);

/* Whether a Vulkan device opens; says once what is skipped where none does. */
bool vulkan_is_here(void);
/* STOKER_VULKAN for tests: under the validation layer where it is installed. */
const char *vulkan_words(void);

/* A file's contents; NULL when it can't be read. */
void *load_file(const char *path, size_t *bytes);

/* Memory that this process has resident. */
long resident_kib(void);
/* Sanitizers keep freed memory for a while; they look for leaks themselves. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* Small, repeatable random numbers. */
uint32_t random_u32(void);
float random_float(void); /* from -1 to 1 */
void random_seed(uint64_t seed);

/* Blocks of random codes whose scales are finite and moderate. */
struct stoker_format;
void random_blocks(const struct stoker_format *format, uint8_t *blocks, size_t count);

#endif
