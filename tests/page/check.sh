#!/bin/bash
# SPDX-License-Identifier: MIT
# The server's page in Chromium, beside a scripted server.
# usage: tests/page/check.sh BUILD [TEST...]; RECORD=1 takes the pictures of docs/pictures/ instead
set -eu
build=${1:?usage: tests/page/check.sh BUILD [TEST...]}
shift
here=$(dirname "$0")

skip() {
	echo "skipped: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

has_browser() {
	command -v chromium || command -v chromium-browser || command -v google-chrome
} >/dev/null
has_browser || "$here/../../tools/setup/install-packages.sh" page || true
has_browser || skip "the page's tests need Chromium, which can't be installed here"
command -v python3 >/dev/null || skip "the page's tests need python3"

export PYTHONDONTWRITEBYTECODE=1
if [ -n "${RECORD:-}" ]; then
	command -v pngquant >/dev/null || echo "pngquant isn't here: the pictures will be large" >&2
	python3 "$here/check.py" --record docs/pictures
	! command -v pngquant >/dev/null || pngquant --strip --speed 1 --force --ext .png 64 docs/pictures/page-*.png
	exit 0
fi
exec python3 "$here/check.py" --build "$build" "$@"
