#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs into a scratch folder, builds the examples against that through pkg-config, runs them, and
# checks what the library exports and that it goes along with a program's own names.
# usage: install.sh BUILD
set -eu
read -ra cc <<<"${CC:-cc}" # may be two words
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
make -s BUILD="$1" PREFIX="$root/usr" install >/dev/null
export PKG_CONFIG_PATH=$root/usr/lib/pkgconfig
# each example as C, and as what C++ had before it had named initialisers
for example in tools/examples/*.c; do
	name=$(basename "$example" .c)
	# shellcheck disable=SC2046 # lists of flags
	"${cc[@]}" -Wall -Wextra -Wpedantic -Werror "$example" $(pkg-config --cflags --libs stoker-rt) -lm -o "$root/$name"
	command -v c++ >/dev/null || continue
	# shellcheck disable=SC2046
	c++ -x c++ -std=c++17 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -Wno-missing-field-initializers \
		$(pkg-config --cflags stoker-rt) "$example"
done
# shellcheck disable=SC2046
c++ -x c++ -fsyntax-only -Wall $(pkg-config --cflags stoker-rt) - <<<'#include <stoker/stoker.h>' 2>"$root/cxx" ||
	{ command -v c++ >/dev/null && cat "$root/cxx" && exit 1; }
grep -q "^ExecStart=$root/usr/bin/stoker serve " "$root/usr/lib/systemd/system/stoker.service"
[ -s "$root/usr/lib/systemd/system/stoker.socket" ]
export LD_LIBRARY_PATH=$root/usr/lib
"$root/continue" tests/data/containers/plain.gguf x >/dev/null 2>&1 || true
if [ -e tools/demo-model/stoker-demo-Q4_K.gguf ]; then
	"$root/continue" tools/demo-model/stoker-demo-Q4_K.gguf "In the beginning" >"$root/text"
	grep -q "In the beginning .*" "$root/text"
	# from Python: half as much of the same
	if command -v python3 >/dev/null; then
		said=$(python3 tools/examples/complete.py tools/demo-model/stoker-demo-Q4_K.gguf "In the beginning")
		[[ $(<"$root/text") == "$said"* && ${#said} -gt 30 ]] || { echo "complete.py says \"$said\""; exit 1; }
	else
		echo "skipped: complete.py, there is no python3"
	fi
	# an answer that is interrupted is an end, not a failure
	"$root/chat" tools/demo-model/stoker-demo-Q4_K.gguf <<<"And God said" >"$root/said" &
	chat=$!
	for _ in {1..100}; do
		[ "$(wc -c <"$root/said")" -lt 30 ] || break
		sleep 0.1
	done
	kill -INT $chat 2>/dev/null || true
	wait $chat || { echo "chat ends with $?"; exit 1; }
	grep -q "> .*[a-z]" "$root/said"
	"$root/together" tools/demo-model/stoker-demo-Q4_K.gguf "In the beginning" "Once upon a time" >"$root/texts"
	[ "$("$root/search" tools/demo-model/stoker-demo-Q4_K.gguf README.md "# Stoker" | head -n 1 | cut -d ' ' -f 1)" = 1.000 ]
	# whatever is sampled: a comma, too
	for text in "In the beginning" "Once upon a time"; do
		grep -q "$text." "$root/texts" || { echo "together: \"$text\" isn't continued"; exit 1; }
	done
fi
foreign=$(nm -D --defined-only "$root/usr/lib/libstoker-rt.so" | awk '{print $3}' | grep -v '^stoker_' | grep -v '^STOKER_' || true)
[ -z "$foreign" ] || { echo "foreign symbols: $foreign"; exit 1; }
for symbol in $(nm -D --defined-only "$root/usr/lib/libstoker-rt.so" | awk '$2 == "T" {print $3}' | sed 's/@.*//'); do
	grep -qE "(^|[ *])$symbol\(\) - " "$root"/usr/include/stoker/*.h || { echo "$symbol has no documentation"; exit 1; }
done
exported=$(nm -D --defined-only "$root/usr/lib/libstoker-rt.so" | awk '$2 == "T" {print $3}' | sed 's/@.*//' | sort)
defined=$(nm -g --defined-only "$root/usr/lib/libstoker-rt.a" | awk 'NF == 3 {print $3}' | sort)
[ "$exported" = "$defined" ] || {
	echo "the static and the shared library define different names:"
	diff <(echo "$exported") <(echo "$defined")
	exit 1
}

# Names that files of the library have for each other, and volk's, are the program's to use.
cat >"$root/names.c" <<'END'
#include <stdio.h>
#include <stoker/stoker.h>
#include <vulkan/vulkan.h>

int f32_to_f16(int x);
int f32_to_f16(int x)
{
	return x + 1;
}
const char *profile_add = "ours";

int main(void)
{
	const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO };
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu" };
	struct stoker_device *device = NULL;
	struct stoker_error err;
	VkInstance instance = VK_NULL_HANDLE;

	if (vkCreateInstance(&info, NULL, &instance) == VK_SUCCESS)
		vkDestroyInstance(instance, NULL);
	if (stoker_device_open(&params, &device, &err))
		return fprintf(stderr, "%s\n", err.message) < 0 ? 2 : 1;
	printf("%s %d\n", profile_add, f32_to_f16(1));
	stoker_device_close(&device);
	return 0;
}
END
vulkan=vulkan
echo 'int main(void){return 0;}' | "${cc[@]}" -x c - -lvulkan -o "$root/probe" 2>/dev/null || vulkan=:libvulkan.so.1
for kind in shared static; do
	library=$(pkg-config --libs stoker-rt)
	# the file itself: with -L alone the linker takes the shared one
	[ $kind = shared ] || library=$(pkg-config --static --libs stoker-rt | sed "s|-lstoker-rt|$root/usr/lib/libstoker-rt.a|")
	# shellcheck disable=SC2046,SC2086
	"${cc[@]}" -Wall -Wextra -Werror -isystem build/next/trixie/usr/include "$root/names.c" $(pkg-config --cflags stoker-rt) $library -l$vulkan -o "$root/names"
	[ "$("$root/names")" = "ours 2" ] || { echo "names of a program's own beside the $kind library"; exit 1; }
done

# A program that loads the library as a plugin may unload it at any time: while threads run its code
# it stays, and it goes with them.
cat >"$root/plugin.c" <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <stoker/stoker.h>

static int mapped(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int found = 0;

	while (maps && fgets(line, sizeof(line), maps))
		found |= strstr(line, "libstoker") != NULL;
	if (maps)
		fclose(maps);
	return found;
}

int main(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu", .threads = 4 };
	struct stoker_device *device;
	struct stoker_error err;

	for (int early = 0; early < 2; early++) {
		void *library = dlopen("libstoker-rt.so.1", RTLD_NOW | RTLD_LOCAL);
		__typeof__(&stoker_device_open) open;
		__typeof__(&stoker_device_close) close;

		if (!library)
			return fprintf(stderr, "%s\n", dlerror()) < 0 ? 2 : 1;
		open = (__typeof__(open))dlsym(library, "stoker_device_open");
		close = (__typeof__(close))dlsym(library, "stoker_device_close");
		if (open(&params, &device, &err))
			return fprintf(stderr, "%s\n", err.message) < 0 ? 2 : 1;
		if (!early)
			close(&device);
		dlclose(library);
		usleep(200000); /* for which its threads run on */
		printf("%d", mapped());
	}
	return 0;
}
END
# shellcheck disable=SC2046
"${cc[@]}" -Wall -Wextra -Werror "$root/plugin.c" $(pkg-config --cflags stoker-rt) -ldl -o "$root/plugin"
[ "$("$root/plugin")" = 01 ] || { echo "a program that unloads the library"; exit 1; }

# Programs are compiled without the headers and .pc files of what the library itself uses.
PKG_CONFIG_LIBDIR=$PKG_CONFIG_PATH pkg-config --cflags stoker-rt >/dev/null
man -l "$root/usr/share/man/man1/stoker-run.1" >/dev/null 2>&1 || [ -s "$root/usr/share/man/man1/stoker-run.1" ]
make -s BUILD="$1" PREFIX="$root/usr" uninstall
left=$(find "$root/usr" -type f | head -3)
[ -z "$left" ] || { echo "uninstall left $left"; exit 1; }
echo "1 passed, 0 failed, 0 skipped"
