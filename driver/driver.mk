# SPDX-License-Identifier: MIT
# The kernel module and its tests in a virtual machine.

KDIR ?= /lib/modules/$(shell uname -r)/build
KERNELS := build/kernels
# the kernels that the module is tested on; module-check-debug adds one with every detector on
KERNEL_VERSIONS := 6.1 6.12
DRIVER_VERSION := $(shell sed -n 's/^MODULE_VERSION("\(.*\)");/\1/p' driver/drv.c)

.PHONY: module module-install module-lint module-check module-check-debug deps-kernels
module:
	driver/build.sh driver $(KDIR) $(BUILD)/module W=1

# Sources for DKMS, which builds the module again with each new kernel, and the device's permissions
DKMS_DIR := $(DESTDIR)/usr/src/stoker-$(DRIVER_VERSION)
module-install:
	install -d $(DKMS_DIR)/uapi/linux $(DESTDIR)/etc/udev/rules.d
	install -m 644 driver/*.[ch] driver/Kbuild driver/COPYING $(DKMS_DIR)
	install -m 644 uapi/linux/stoker.h $(DKMS_DIR)/uapi/linux
	sed 's/@VERSION@/$(DRIVER_VERSION)/' tools/setup/dkms.conf.in > $(DKMS_DIR)/dkms.conf
	install -m 644 tools/setup/70-stoker.rules $(DESTDIR)/etc/udev/rules.d
	@echo 'now: dkms install stoker/$(DRIVER_VERSION) && modprobe stoker'

deps-kernels:
	@tools/setup/install-packages.sh module
	tests/driver/kernels.sh $(KERNELS)

module-lint: deps-kernels
	tests/lint/module.sh $(KERNELS)

# --- tests --------------------------------------------------------------------------------------

GUEST := $(BUILD)/guest
GUEST_PROGRAMS := $(addprefix $(GUEST)/,rules transfers lifetimes importers reclaim fuzz failures leave)
GUEST_FLAGS := -std=gnu11 -D_GNU_SOURCE -pthread $(WARNINGS) -Wno-conversion -O2 -Iuapi

$(GUEST)/%: tests/driver/%.c tests/driver/tap.h tests/driver/device.h uapi/linux/stoker.h
	@mkdir -p $(@D)
	$(CC) $(GUEST_FLAGS) -static $< -o $@
$(GUEST)/importers: GUEST_FLAGS += $(shell $(PKG_CONFIG) --cflags libdrm 2>/dev/null)
$(GUEST)/importers: tests/driver/importers.c tests/driver/importer/importer.h
	@mkdir -p $(@D)
	$(CC) $(GUEST_FLAGS) $< $(shell $(PKG_CONFIG) --libs libdrm) -o $@
# the interface is the same for 32-bit programs
$(GUEST)/rules32: tests/driver/rules.c tests/driver/tap.h tests/driver/device.h uapi/linux/stoker.h
	@mkdir -p $(@D)
	$(CC) $(GUEST_FLAGS) -m32 -static $< -o $@

# $(call in_machine,NAME,TREE,KERNEL,ARGUMENTS): the suites on one kernel
define in_machine
	driver/build.sh driver $(2) $(BUILD)/module-$(1) W=1
	driver/build.sh tests/driver/importer $(2) $(BUILD)/importer-$(1)
	rm -rf $(GUEST)-$(1)
	mkdir -p $(GUEST)-$(1)
	cp $(GUEST_PROGRAMS) $(GUEST)/rules32 tests/driver/paging.sh tests/driver/bench.sh $(TOOL) $(DEMO_MODEL) \
		$(BUILD)/module-$(1)/stoker.ko $(BUILD)/importer-$(1)/importer.ko $(GUEST)-$(1)
	tests/driver/vm.sh $(3) $(GUEST)-$(1) $(4)
endef

# TRANSFERS=N FUZZ=N SUITES=a,b BENCH=1
GUEST_ARGUMENTS = $(TRANSFERS:%=transfers=%) $(FUZZ:%=fuzz=%) $(SUITES:%=suites=%) $(BENCH:%=bench=%)
module-check: deps-kernels $(KERNEL_VERSIONS:%=module-check-%)
.PHONY: $(KERNEL_VERSIONS:%=module-check-%)
$(KERNEL_VERSIONS:%=module-check-%): module-check-%: deps-kernels $(GUEST_PROGRAMS) $(GUEST)/rules32 $(TOOL)
	$(call in_machine,$*,$(KERNELS)/$*/headers,$(KERNELS)/$*/vmlinuz,$(GUEST_ARGUMENTS))

DEBUG_TREE := $(KERNELS)/debug/linux-source-6.1
module-check-debug: deps-kernels $(GUEST_PROGRAMS) $(GUEST)/rules32 $(TOOL)
	tests/driver/debug-kernel.sh $(KERNELS)/debug
	$(call in_machine,debug,$(DEBUG_TREE),$(DEBUG_TREE)/arch/x86/boot/bzImage,$(GUEST_ARGUMENTS))
