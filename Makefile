# SPDX-License-Identifier: MIT
# Stoker's build: `make help` lists what it can do.

comma := ,
VERSION := 0.1.0
SOVERSION := 0
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
AR ?= ar
BUILD ?= build
PKG_CONFIG ?= pkg-config
CLANG_FORMAT ?= clang-format

# SANITIZE=address|thread|undefined builds into a folder of its own
ifdef SANITIZE
override BUILD := $(BUILD)/$(SANITIZE)
SANITIZER_FLAGS := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
endif

LIBRARY_PACKAGES := liburing libpcre2-8 libutf8proc
TOOL_PACKAGES := json-c libedit
TEST_PACKAGES := cunit

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-psabi \
	-Wno-missing-field-initializers -Wstrict-prototypes -Wmissing-prototypes
ifdef CI
WARNINGS += -Werror
endif
CFLAGS ?= -O2 -g
BASE_FLAGS := -std=gnu11 -D_GNU_SOURCE -pthread -fvisibility=hidden -fno-math-errno $(WARNINGS) \
	$(SANITIZER_FLAGS) -Iruntime/include -DSTOKER_VERSION='"$(VERSION)"'
# products stay as written: decoding is bit-exact on every instruction set
LIBRARY_FLAGS := $(BASE_FLAGS) -fPIC -Iruntime -ffp-contract=off
LDLIBS := $(shell $(PKG_CONFIG) --libs $(LIBRARY_PACKAGES) 2>/dev/null) -lnuma -lm
LDFLAGS += -pthread $(SANITIZER_FLAGS)

# --- the library --------------------------------------------------------------------------------

# Hot loops are compiled once an instruction set (runtime/base/isa.h).
ISA_SOURCES := $(addprefix runtime/device/cpu/,kernels.c fused.c) \
	$(addprefix runtime/quant/,float.c legacy.c kquant.c iquant.c ternary.c fp4.c)
SOURCES := $(filter-out $(ISA_SOURCES),$(wildcard runtime/*/*.c runtime/*/*/*.c))

MACHINE := $(shell $(CC) -dumpmachine)
ifneq ($(findstring x86_64,$(MACHINE)),)
ISAS := scalar avx2 avx512
ISA_FLAGS_avx2 := -mavx2 -mfma -mf16c -mbmi2
ISA_FLAGS_avx512 := $(ISA_FLAGS_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni \
	-mprefer-vector-width=512
else ifneq ($(findstring aarch64,$(MACHINE)),)
ISAS := scalar dotprod
ISA_FLAGS_dotprod := -march=armv8.2-a+dotprod
else
ISAS := scalar
endif

OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) \
	$(foreach isa,$(ISAS),$(ISA_SOURCES:%.c=$(BUILD)/%.$(isa).o))
STATIC := $(BUILD)/libstoker-rt.a
SHARED := $(BUILD)/libstoker-rt.so.$(VERSION)
TOOL := $(BUILD)/stoker
MANPAGES := $(patsubst tools/man/%.in,$(BUILD)/man/%,$(wildcard tools/man/*.in))

.PHONY: all
all: $(STATIC) $(SHARED) $(TOOL) $(BUILD)/stoker-rt.pc

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(LIBRARY_FLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

define isa_rule
$$(BUILD)/%.$(1).o: %.c $$(BUILD)/flags
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS) $$(LIBRARY_FLAGS) $$(CFLAGS) -O3 -DISA=$(1) $$(ISA_FLAGS_$(1)) \
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

$(STATIC): $(OBJECTS)
	rm -f $@
	$(AR) rcs $@ $^

$(SHARED): $(OBJECTS) runtime/stoker-rt.map
	$(CC) -shared $(LDFLAGS) -Wl,-soname,libstoker-rt.so.$(SOVERSION) \
		-Wl,--version-script=runtime/stoker-rt.map $(if $(SANITIZE),,-Wl$(comma)-z$(comma)defs) $(OBJECTS) $(LDLIBS) -o $@
	ln -sf $(@F) $(BUILD)/libstoker-rt.so.$(SOVERSION)
	ln -sf $(@F) $(BUILD)/libstoker-rt.so

$(BUILD)/stoker-rt.pc: runtime/stoker-rt.pc.in Makefile
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' \
		-e 's|@PRIVATE@|$(LIBRARY_PACKAGES)|' $< > $@

# --- the program --------------------------------------------------------------------------------

TOOL_SOURCES := $(wildcard tools/*.c)
TOOL_OBJECTS := $(TOOL_SOURCES:%.c=$(BUILD)/%.o)
$(TOOL_OBJECTS): LIBRARY_FLAGS := $(BASE_FLAGS) -Itools \
	$(shell $(PKG_CONFIG) --cflags $(TOOL_PACKAGES) 2>/dev/null)

$(TOOL): $(TOOL_OBJECTS) $(STATIC)
	$(CC) $(LDFLAGS) $^ $(shell $(PKG_CONFIG) --libs $(TOOL_PACKAGES)) $(LDLIBS) -o $@

include tests/tests.mk
include tools/tools.mk

-include $(OBJECTS:.o=.d) $(TOOL_OBJECTS:.o=.d)
