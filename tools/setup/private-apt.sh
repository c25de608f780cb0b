# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# To be sourced: apt with a configuration of its own, so that packages of other suites can be fetched
# beside the system's.  apt checks every package's signature with Debian's archive keyring.

# private_apt FOLDER STATUS "ARCHIVE SUITE;..." [ARCHITECTURE]: from here on apt keeps everything in FOLDER,
# takes STATUS for the list of installed packages, and reads nothing of /etc/apt.  Ends with "unset
# APT_CONFIG".
private_apt() {
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	mirror=${DEBIAN_MIRROR:-http://deb.debian.org}
	if [ ! -r $keyring ] || ! command -v apt-get >/dev/null; then
		echo "$0: needs apt and $keyring (package debian-archive-keyring)" >&2
		exit 1
	fi
	rm -rf "$1/cache/archives"
	mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
	cp "$2" "$1/status"
	echo "$3" | tr ';' '\n' | while read -r archive suite; do
		echo "deb [signed-by=$keyring] $mirror/$archive $suite main"
	done >"$1/sources.list"
	cat >"$1/apt.conf" <<-END
		Dir::State "$1";
		Dir::State::lists "$1/lists";
		Dir::State::status "$1/status";
		Dir::Cache "$1/cache";
		Dir::Log "$1";
		Dir::Etc { main "/dev/null"; parts "/dev/null"; sourcelist "$1/sources.list";
			sourceparts "/dev/null"; preferences "/dev/null"; preferencesparts "/dev/null";
			trusted "/dev/null"; trustedparts "/dev/null"; };
		APT { Architecture "${4:-amd64}"; Architectures { "${4:-amd64}"; }; Install-Recommends "false";
			Sandbox::User "root"; };
		Acquire::Languages "none";
		pkgCacheGen::Essential "none";
	END
	export APT_CONFIG="$1/apt.conf"
	apt-get -q update
}
