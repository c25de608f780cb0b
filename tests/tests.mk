# SPDX-License-Identifier: MIT
# Tests: unit and op suites (CUnit), the program end to end, fuzzers.

TEST_SOURCES := $(wildcard tests/unit/*.c tests/ops/*.c)
TEST_OBJECTS := $(TEST_SOURCES:%.c=$(BUILD)/%.o)
$(TEST_OBJECTS): LIBRARY_FLAGS := $(BASE_FLAGS) -Iruntime -Itools -Itests/unit -Itests/ops -Wno-conversion \
	$(shell $(PKG_CONFIG) --cflags json-c $(TEST_PACKAGES) 2>/dev/null)

# parts of the program that suites call
TESTED_TOOLS := bench/matmul bench/ops bench/serve_figures bench/serve_reply common messages progress reasoning reuse terminal
TESTED_TOOLS += $(addprefix serve/,body guard keys problem text)
TESTED_TOOLS += $(addprefix serve/,catalogue details dispatcher generation metrics models pieces served stops) \
	chat_template container grammar guess load memory models/found models/names models/ollama models/resolve models/spans models/store options sampling
TESTED_TOOLS += $(addprefix serve/,anthropic_reply anthropic_request native_prompt native_reply objects ollama_reply ollama_request openai translate)
TESTED_TOOLS += $(patsubst tools/%.c,%,$(wildcard tools/serve/calls*.c))
TESTED_TOOLS += $(addprefix serve/,chat_messages chat_read field fields forms gbnf logit_bias responses_read)
$(BUILD)/unit: $(TEST_OBJECTS) $(TESTED_TOOLS:%=$(BUILD)/tools/%.o) $(KEEP_LOADED) $(INTERNAL)
	$(CC) $(LDFLAGS) $(WRAPPED:%=-Wl,--wrap=%) $(if $(KEEP_LOADED),-rdynamic) $^ $(shell $(PKG_CONFIG) --libs json-c) -lcunit $(LDLIBS) -o $@
# tests/unit/failing.c has them fail
WRAPPED := malloc calloc realloc

# where "stoker pull" is tried
HUB := $(if $(and $(HAS_PULL),$(shell $(PKG_CONFIG) --exists libmicrohttpd && echo yes)),$(BUILD)/hub $(BUILD)/evil)

.PHONY: test unit e2e
test: unit e2e
unit: $(BUILD)/unit
	$(BUILD)/unit $(SUITES)
e2e: all $(BUILD)/faultfs $(BUILD)/scripted $(BUILD)/terminal $(HUB)
	tests/e2e/tool.sh $(BUILD)
	tests/e2e/quantize.sh $(BUILD)
	tests/e2e/chat.sh $(BUILD)
	tests/e2e/manners.sh $(BUILD)
	tests/e2e/pull.sh $(BUILD)
	tests/e2e/pull_evil.sh $(BUILD)
	tests/e2e/serve.sh $(BUILD)
	tests/e2e/faults.sh $(BUILD)
	tests/e2e/install.sh $(BUILD)
$(BUILD)/faultfs: tests/e2e/faultfs.c
	$(CC) $(BASE_FLAGS) -Wno-conversion $(CFLAGS) $< -o $@
$(BUILD)/scripted: tests/e2e/scripted.c $(INTERNAL) $(KEEP_LOADED)
	$(CC) $(BASE_FLAGS) -Wno-conversion $(CFLAGS) $(LDFLAGS) $(if $(KEEP_LOADED),-rdynamic) $^ $(LDLIBS) -o $@
$(BUILD)/hub: tests/e2e/hub.c
	$(CC) $(BASE_FLAGS) -Wno-conversion $(CFLAGS) $< $(shell $(PKG_CONFIG) --libs libmicrohttpd libcrypto) -o $@
$(BUILD)/evil: tests/e2e/evil.c
	$(CC) $(BASE_FLAGS) -Wno-conversion $(CFLAGS) $< -o $@
$(BUILD)/terminal: tests/e2e/terminal.c
	$(CC) $(BASE_FLAGS) -Wno-conversion $(CFLAGS) $< -lutil -o $@

# The suites under a sanitizer; the program's own tests run under it too.  Shaders aren't instrumented:
# one variant of the Vulkan device will do.
.PHONY: asan tsan ubsan sanitize
asan:
	STOKER_TEST_VARIANTS=1 $(MAKE) SANITIZE=address unit
	$(MAKE) SANITIZE=address BUILD=$(BUILD) e2e-tool
ubsan:
	STOKER_TEST_VARIANTS=1 $(MAKE) SANITIZE=undefined unit
	$(MAKE) SANITIZE=undefined BUILD=$(BUILD) e2e-tool
tsan:
	$(MAKE) SANITIZE=thread $(BUILD)/thread/unit
	$(BUILD)/thread/unit base pool store session custom log lifetimes engine vulkan pager paging generation
# What asan and ubsan find, in half the time: both in one build, and the suites that leave something out
# under the address sanitizer (see SANITIZED in unit.h) with the other one alone.
sanitize:
	STOKER_TEST_VARIANTS=1 $(MAKE) SANITIZE=address,undefined unit
	$(MAKE) SANITIZE=address,undefined BUILD=$(BUILD) e2e-tool
	STOKER_TEST_VARIANTS=1 $(MAKE) SANITIZE=undefined SUITES="bench fork template" unit
.PHONY: e2e-tool
e2e-tool: all $(BUILD)/faultfs $(BUILD)/scripted $(BUILD)/terminal $(HUB)
	tests/e2e/tool.sh $(BUILD)
	tests/e2e/chat.sh $(BUILD)
	tests/e2e/manners.sh $(BUILD)
	tests/e2e/pull.sh $(BUILD)
	tests/e2e/pull_evil.sh $(BUILD)
	tests/e2e/serve.sh $(BUILD)
	tests/e2e/faults.sh $(BUILD)

# The Vulkan device at other subgroup sizes, under GPU-assisted validation, and on newer drivers.
.PHONY: vulkan-check
vulkan-check: $(BUILD)/unit
	tests/e2e/vulkan.sh $(BUILD) $(NEXT) $(PARTS)

# Real models and their templates beside programs of others; needs the Python package index.
# make check-real [PARTS="logits embeddings needles tokens templates control schemas models"] [LONG=1]
# [TEMPLATES=FOLDER] [SCHEMAS=FOLDER]
.PHONY: check-real
check-real: all $(BUILD)/real-batch
	TEMPLATES="$(TEMPLATES)" SCHEMAS="$(SCHEMAS)" LONG="$(LONG)" tests/real/check.sh $(BUILD) $(PARTS)
$(BUILD)/tests/real/batch.o: LIBRARY_FLAGS := $(BASE_FLAGS) $(shell $(PKG_CONFIG) --cflags json-c 2>/dev/null)
$(BUILD)/real-batch: $(BUILD)/tests/real/batch.o $(KEEP_LOADED) $(INTERNAL)
	$(CC) $(LDFLAGS) $(if $(KEEP_LOADED),-rdynamic) $^ $(shell $(PKG_CONFIG) --libs json-c) $(LDLIBS) -o $@

# The server's page in a browser: make check-page [TESTS="stop narrow"] [RECORD=1]
.PHONY: check-page
check-page: all
	@tools/setup/fetch-model.sh -C $(MODEL_FOLDER) smollm2 >/dev/null || true
	RECORD="$(RECORD)" tests/page/check.sh $(BUILD) $(TESTS)

# Clients of others talk to the server; needs the Python package index.
# make check-clients [PARTS="clients fuzz"] [RUNS=N] [UPDATE=1]; PARTS=llama PEER=FOLDER, a checkout of llama.cpp
.PHONY: check-clients
check-clients: all
	RUNS="$(if $(filter command environment,$(origin RUNS)),$(RUNS))" PEER="$(PEER)" UPDATE="$(UPDATE)" tests/clients/check.sh $(BUILD) $(PARTS)

# The CPU's code for another processor, built here and run by an emulator: make check-arm64
# [SUITES="ops vectors"]
.PHONY: check-arm64
check-arm64: $(SHADER_BUILD)/shaders.c
	SUITES="$(SUITES)" SHADER_BUILD=$(SHADER_BUILD) tests/emulated/arm64.sh $(BUILD)

# Sixteen sequences together beside each alone, bit for bit, in many schedules on the CPU:
# make check-batch [LONG=1] [MODELS="{models,quantized}/*"]
.PHONY: check-batch
check-batch: $(BUILD)/unit
	STOKER_TEST_SCHEDULES=$(if $(LONG),1000,100) $(if $(MODELS),STOKER_TEST_MODELS="$(MODELS)") $(BUILD)/unit schedules

# What a borrowed machine with a GPU needs, in build/gpu-day.tar.xz: make gpu-day [PEER=FOLDER]
.PHONY: gpu-day gpu-day-rehearse
gpu-day: $(TOOL) $(BUILD)/unit $(BUILD)/gpu_probe
	$(MAKE) summary
	tests/bench/gpu-day.sh pack $(BUILD) $(PEER)
# the whole of it with tiny models, so that it works on the day
gpu-day-rehearse: gpu-day
	tests/bench/gpu-day.sh run --rehearse build/gpu-day-out
	tests/bench/gpu-day.sh read "$$(ls -t build/gpu-day-out/*.tar.* | head -n 1)" >/dev/null
$(BUILD)/gpu_probe: tests/bench/gpu_probe.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(BASE_FLAGS) -Wno-conversion $(CFLAGS) $< -ldl -o $@

# libFuzzer targets, with ASan and UBSan: make fuzz RUNS=50000.  They need clang with its runtime.
RUNS ?= 50000
CLANG ?= clang
FUZZERS := $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c)))
.PHONY: fuzz fuzz-run
fuzz: $(TOOL)
	@if tests/fuzz/can.sh "$(CLANG)"; then \
		$(MAKE) SANITIZE=fuzz CC="$(CLANG)" CFLAGS="-O1 -g" \
			SHADER_BUILD=$(SHADER_BUILD) STOKER=$(TOOL) fuzz-run; fi
$(BUILD)/fuzz_trace: $(BUILD)/tools/trace.o
$(BUILD)/fuzz_calls: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/serve/calls*.c)) \
	$(addprefix $(BUILD)/tools/,serve/text.o serve/problem.o reasoning.o)
$(BUILD)/fuzz_request: $(addprefix $(BUILD)/tools/serve/,body.o guard.o keys.o problem.o text.o chat_messages.o chat_read.o \
	field.o fields.o forms.o logit_bias.o responses_read.o anthropic_request.o ollama_request.o translate.o)
fuzz-run: $(FUZZERS:%=$(BUILD)/%)
	tests/fuzz/run.sh $(STOKER) $(RUNS) $^
$(FUZZERS:%=$(BUILD)/%): $(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(INTERNAL)
	$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer $(filter-out %.a,$^) $(filter %.a,$^) $(LDLIBS) -o $@
$(FUZZERS:%=$(BUILD)/tests/fuzz/%.o): LIBRARY_FLAGS := $(BASE_FLAGS) -Iruntime -Itools -Wno-conversion \
	-Wno-missing-prototypes $(shell $(PKG_CONFIG) --cflags json-c 2>/dev/null)

-include $(TEST_OBJECTS:.o=.d) $(BUILD)/tests/real/batch.d
