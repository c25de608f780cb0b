# SPDX-License-Identifier: MIT
# Stoker's build: `make help` lists what it can do.

comma := ,
VERSION := 0.1.0
SOVERSION := 1
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
AR ?= ar
OBJCOPY ?= objcopy
BUILD ?= build
PKG_CONFIG ?= pkg-config
CLANG_FORMAT ?= clang-format
# Shaders are the same for all sanitizers.
SHADER_BUILD := $(BUILD)/shaders
# Newer Vulkan tools beside the system's, once "make deps-next" has put them there
NEXT ?= build/next

# SANITIZE=address|thread|undefined|address,undefined builds into a folder of its own, and so does
# "make fuzz"
ifdef SANITIZE
override BUILD := $(BUILD)/$(subst $(comma),-,$(SANITIZE))
SANITIZER_FLAGS := -fsanitize=$(SANITIZE:fuzz=fuzzer-no-link,address,undefined) -fno-omit-frame-pointer \
	-fno-sanitize-recover=all -DSTOKER_SANITIZED
endif
# fuzzers shall be built in minutes: one instruction set, without a choice at run time
ifeq ($(SANITIZE),fuzz)
SANITIZER_FLAGS += -DSTOKER_FUZZING
endif
# drivers have to find the dlclose() of this one, so programs with it are linked with -rdynamic
ifneq ($(filter address%,$(SANITIZE)),)
KEEP_LOADED := $(BUILD)/tests/keep_loaded.o
endif

LIBRARY_PACKAGES := liburing libpcre2-8 libutf8proc json-c libdrm
# "stoker run" loads it for conversations at a terminal
TOOL_PACKAGES := libedit
# "stoker pull" alone needs these, and loads them; a build without their headers says so
PULL_PACKAGES := libcurl libcrypto
HAS_PULL := $(shell $(PKG_CONFIG) --exists $(PULL_PACKAGES) && echo yes)
# "stoker serve" loads it, likewise
SERVE_PACKAGES := libmicrohttpd
HAS_SERVE := $(shell $(PKG_CONFIG) --exists $(SERVE_PACKAGES) && echo yes)
TEST_PACKAGES := cunit

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-psabi \
	-Wno-missing-field-initializers -Wstrict-prototypes -Wmissing-prototypes
ifdef CI
WARNINGS += -Werror
endif
CFLAGS ?= -O2 -g
BASE_FLAGS := $(shell $(PKG_CONFIG) --cflags libdrm json-c 2>/dev/null) -std=gnu11 -D_GNU_SOURCE -pthread -fvisibility=hidden -fno-math-errno $(WARNINGS) \
	$(SANITIZER_FLAGS) -Iruntime/include -Iuapi -DSTOKER_VERSION='"$(VERSION)"'
ifneq ($(wildcard $(NEXT)/trixie/usr/include/vulkan),)
BASE_FLAGS += -isystem $(NEXT)/trixie/usr/include
endif
# products stay as written: decoding is bit-exact on every instruction set
LIBRARY_FLAGS := $(BASE_FLAGS) -fPIC -Iruntime -ffp-contract=off
# with -flto, GCC has to be asked for machine code
PARTIAL_LINK := -nostdlib -r $(if $(findstring -flto,$(CFLAGS)),$(if $(findstring gcc version,$(shell $(CC) -v 2>&1)),-flinker-output=nolto-rel))
LDLIBS := $(shell $(PKG_CONFIG) --libs $(LIBRARY_PACKAGES) 2>/dev/null) -lnuma -ldl -lm
LDFLAGS += -pthread $(SANITIZER_FLAGS)

# --- the library --------------------------------------------------------------------------------

# Hot loops are compiled once an instruction set (runtime/base/isa.h).
ISA_SOURCES := $(addprefix runtime/device/cpu/,kernels.c gemm.c gemv.c few_rows.c attend.c attend_codes.c \
		float_gemm.c bfloat_gemm.c float_gemv.c) \
	$(addprefix runtime/quant/,float.c legacy.c kquant.c iquant.c ternary.c fp4.c \
		encode_legacy.c encode_kquant.c encode_iquant.c encode_table.c encode_ternary.c)
SOURCES := $(filter-out $(ISA_SOURCES),$(wildcard runtime/*/*.c runtime/*/*/*.c))

MACHINE := $(shell $(CC) -dumpmachine)
ifneq ($(findstring x86_64,$(MACHINE)),)
ISAS := scalar avx2 avxvnni avx512
ISA_FLAGS_avx2 := -mavx2 -mfma -mf16c -mbmi2
ISA_FLAGS_avxvnni := $(ISA_FLAGS_avx2) -mavxvnni
ISA_FLAGS_avx512 := $(ISA_FLAGS_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni \
	-mprefer-vector-width=512
else ifneq ($(findstring aarch64,$(MACHINE)),)
ISAS := scalar dotprod
ISA_FLAGS_dotprod := -march=armv8.2-a+dotprod
else
ISAS := scalar
endif
# the places of variables for debuggers take longer than compiling
HOT_FLAGS := $(if $(SANITIZE),-O2,-O3) -fno-var-tracking
ifeq ($(SANITIZE),fuzz)
ISAS := scalar
HOT_FLAGS := -O1
endif

OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(SHADER_BUILD)/shaders.o \
	$(foreach isa,$(ISAS),$(ISA_SOURCES:%.c=$(BUILD)/%.$(isa).o))
STATIC := $(BUILD)/libstoker-rt.a
INTERNAL := $(BUILD)/libstoker-internal.a
SHARED := $(BUILD)/libstoker-rt.so.$(VERSION)
TOOL := $(BUILD)/stoker
MANPAGES := $(patsubst tools/man/%.in,$(BUILD)/man/%,$(wildcard tools/man/*.in))

.PHONY: all
all: $(STATIC) $(SHARED) $(TOOL) $(BUILD)/stoker-rt.pc

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(LIBRARY_FLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(SHADER_BUILD)/shaders.o $(BUILD)/tools/bench/spin_shader.o: %.o: %.c
	$(CC) $(CPPFLAGS) $(filter-out $(SANITIZER_FLAGS),$(LIBRARY_FLAGS)) -c $< -o $@

define isa_rule
$$(BUILD)/%.$(1).o: %.c $$(BUILD)/flags
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS) $$(LIBRARY_FLAGS) $$(CFLAGS) $(HOT_FLAGS) -DISA=$(1) $$(ISA_FLAGS_$(1)) \
		$$(if $$(findstring cpu/,$$<),-ffp-contract=fast) -MMD -MP -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))

# A change of compiler or flags rebuilds everything.
ALL_FLAGS = $(CC) $(CPPFLAGS) $(BASE_FLAGS) $(CFLAGS) $(LDFLAGS) $(foreach isa,$(ISAS),$(ISA_FLAGS_$(isa)))
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(ALL_FLAGS)' | cmp -s - $@ || \
		echo '$(ALL_FLAGS)' > $@
.PHONY: FORCE
FORCE:

# One object, of which a program sees what public headers declare: names that files of the library
# have for each other, and volk's, can't clash with the program's.
$(STATIC): $(OBJECTS)
	$(CC) $(CFLAGS) $(PARTIAL_LINK) $^ -o $(BUILD)/stoker-rt.o
	$(OBJCOPY) --localize-hidden $(BUILD)/stoker-rt.o
	rm -f $@
	$(AR) rcs $@ $(BUILD)/stoker-rt.o

# The objects as they are, for tests and for what measures; never installed.
$(INTERNAL): $(OBJECTS)
	rm -f $@
	$(AR) rcsT $@ $^

$(SHARED): $(OBJECTS) runtime/stoker-rt.map
	$(CC) -shared $(LDFLAGS) -Wl,-soname,libstoker-rt.so.$(SOVERSION) \
		-Wl,--version-script=runtime/stoker-rt.map $(if $(SANITIZE),,-Wl$(comma)-z$(comma)defs) $(OBJECTS) $(LDLIBS) -o $@
	ln -sf $(@F) $(BUILD)/libstoker-rt.so.$(SOVERSION)
	ln -sf $(@F) $(BUILD)/libstoker-rt.so

$(BUILD)/stoker-rt.pc: runtime/stoker-rt.pc.in Makefile
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' \
		-e 's|@PRIVATE@|$(LDLIBS)|' $< > $@

# --- shaders ------------------------------------------------------------------------------------

ifneq ($(wildcard $(NEXT)/bin/glslc),)
GLSLC ?= $(NEXT)/bin/glslc
SPIRV_VAL ?= $(NEXT)/bin/spirv-val
endif
GLSLC ?= glslc
SPIRV_VAL ?= spirv-val
# of the table of formats: all, those whose codes are packed four a word, those of them without signs
FORMAT_TABLE := runtime/quant/formats.def
formats_with = $(shell sed -n 's/^F[A-Z]*.\([A-Z0-9_]*\), .* $(1), .*/\1/p' $(FORMAT_TABLE))
SHADER_FORMATS := $(foreach kind,values words pairs,$(call formats_with,$(kind)))
PAIR_FORMATS := $(call formats_with,pairs)
WORD_FORMATS := $(PAIR_FORMATS) $(call formats_with,words)
# those made for each format, with variants by how products are multiplied
FORMAT_SHADERS := embed matvec matvec_parts matvec_emulated matvec_emulated_parts \
	matvec_emulated_gated matvec_emulated_added matmul matmul_tensor
PAIR_SHADERS := matvec_emulated_pairs matvec_emulated_parts_pairs matvec_emulated_gated \
	matvec_emulated_added
DOT_SHADERS := matvec_dot matvec_parts_dot
OTHER_SHADERS := $(filter-out $(FORMAT_SHADERS),$(basename $(notdir $(wildcard shaders/*.comp))))
SPIRV := $(OTHER_SHADERS:%=$(SHADER_BUILD)/%.spv) \
	$(foreach s,embed matvec matvec_parts matvec_emulated matvec_emulated_parts matmul, \
		$(SHADER_FORMATS:%=$(SHADER_BUILD)/$(s).%.spv)) \
	$(foreach s,$(PAIR_SHADERS),$(PAIR_FORMATS:%=$(SHADER_BUILD)/$(s).%.spv))

# Variants that only some compilers know
can_compile = $(shell shaders/probe.sh $(GLSLC) $(1))
HAS_TENSOR := $(call can_compile,GL_KHR_cooperative_matrix)
HAS_DOT := $(call can_compile,GL_EXT_integer_dot_product)
ifdef HAS_TENSOR
SPIRV += $(SHADER_FORMATS:%=$(SHADER_BUILD)/matmul_tensor.%.spv)
endif
ifdef HAS_DOT
SPIRV += $(foreach s,$(DOT_SHADERS),$(WORD_FORMATS:%=$(SHADER_BUILD)/$(s).%.spv))
endif

# $(call compile_shader,SOURCE,OPTIONS)
compile_shader = $(GLSLC) --target-env=vulkan1.2 -O -Werror $(2) -o $@ $(1) && \
	$(SPIRV_VAL) --target-env vulkan1.2 $@
SHADER_SOURCES := $(wildcard shaders/*.glsl shaders/*.h shaders/formats/*.glsl) runtime/device/shared_ops.h

$(OTHER_SHADERS:%=$(SHADER_BUILD)/%.spv): $(SHADER_BUILD)/%.spv: shaders/%.comp $(SHADER_SOURCES)
	@mkdir -p $(@D)
	$(call compile_shader,$<)
# $(call format_shader_rule,NAME,SOURCE,OPTIONS)
define format_shader_rule
$$(SHADER_BUILD)/$(1).%.spv: shaders/$(2).comp $$(SHADER_SOURCES)
	@mkdir -p $$(@D)
	$$(call compile_shader,$$<,$(3) -DFORMAT_$$*)
endef
$(foreach s,$(FORMAT_SHADERS),$(eval $(call format_shader_rule,$(s),$(s))))
$(foreach s,matvec_emulated matvec_emulated_parts,$(eval $(call format_shader_rule,$(s)_pairs,$(s),-DPAIRS)))
$(foreach s,matvec matvec_parts,$(eval $(call format_shader_rule,$(s)_dot,$(s),-DDOT)))

# made again when the list changes
$(SHADER_BUILD)/list: FORCE
	@mkdir -p $(@D)
	@echo '$(SPIRV)' | cmp -s - $@ || echo '$(SPIRV)' > $@

$(SHADER_BUILD)/shaders.c: $(SPIRV) $(SHADER_BUILD)/list shaders/embed.sh
	shaders/embed.sh stoker_shaders $(SPIRV) > $@.part
	mv $@.part $@

# --- the program --------------------------------------------------------------------------------

# what measures looks inside the library: see tests/lint/layers.sh
BENCH_ISA_SOURCES := tools/bench/spin_kernels.c
BENCH_SOURCES := $(filter-out $(BENCH_ISA_SOURCES),$(wildcard tools/bench/*.c))
BENCH_OBJECTS := $(BENCH_SOURCES:%.c=$(BUILD)/%.o)
SPIN_OBJECTS := $(BUILD)/tools/bench/spin_shader.o \
	$(foreach isa,$(ISAS),$(BENCH_ISA_SOURCES:%.c=$(BUILD)/%.$(isa).o))
PULL_SOURCES := $(addprefix tools/models/,pull.c check.c fetch.c download.c pace.c part.c hasher.c hub.c choose.c http.c url.c token.c libraries.c)
SERVE_SOURCES := $(filter-out tools/serve/no_serve.c,$(wildcard tools/serve/*.c))
TOOL_SOURCES := $(filter-out $(if $(HAS_PULL),tools/models/no_pull.c,$(PULL_SOURCES)) \
	$(if $(HAS_SERVE),tools/serve/no_serve.c,$(SERVE_SOURCES)), \
	$(wildcard tools/*.c tools/models/*.c tools/quantize/*.c tools/serve/*.c)) $(BENCH_SOURCES)
TOOL_OBJECTS := $(TOOL_SOURCES:%.c=$(BUILD)/%.o) $(if $(HAS_SERVE),$(BUILD)/tools/serve/page_files.o)
$(BENCH_OBJECTS): INTERNAL_HEADERS := -Iruntime
$(TOOL_OBJECTS): LIBRARY_FLAGS = $(BASE_FLAGS) -Itools $(INTERNAL_HEADERS) $(TOOL_FLAGS)
$(SPIN_OBJECTS): LIBRARY_FLAGS += -Itools -ffp-contract=fast
TOOL_FLAGS := $(shell $(PKG_CONFIG) --cflags $(TOOL_PACKAGES) $(if $(HAS_PULL),$(PULL_PACKAGES)) $(if $(HAS_SERVE),$(SERVE_PACKAGES)) 2>/dev/null)

# the server's page and its description, as they lie there
PAGE_FILES := $(wildcard tools/serve/page/*) tools/serve/openapi.json
$(BUILD)/tools/serve/page_files.c: $(PAGE_FILES) tools/serve/embed.sh
	@mkdir -p $(@D)
	tools/serve/embed.sh $(PAGE_FILES) > $@.part
	mv $@.part $@
$(BUILD)/tools/serve/page_files.o: %.o: %.c
	$(CC) $(CPPFLAGS) $(LIBRARY_FLAGS) $(CFLAGS) -c $< -o $@

$(BUILD)/tools/bench/spin.spv: tools/bench/spin.comp $(SHADER_SOURCES)
	@mkdir -p $(@D)
	$(call compile_shader,$<,-Ishaders)
$(BUILD)/tools/bench/spin_shader.c: $(BUILD)/tools/bench/spin.spv shaders/embed.sh
	shaders/embed.sh spin_shaders $< > $@.part
	mv $@.part $@

$(TOOL): $(TOOL_OBJECTS) $(SPIN_OBJECTS) $(KEEP_LOADED) $(INTERNAL)
	$(CC) $(LDFLAGS) $(if $(KEEP_LOADED),-rdynamic) $^ $(LDLIBS) -o $@

include tests/tests.mk
include driver/driver.mk
include tools/tools.mk

-include $(OBJECTS:.o=.d) $(TOOL_OBJECTS:.o=.d) $(SPIN_OBJECTS:.o=.d)
