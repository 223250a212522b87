#!/bin/bash
# Installs what the demo and the tests need and is not there yet: a PostgreSQL
# server with psql and pgbench, a C compiler, and with an argument more:
#
#   scripts/deps.sh          what `make build` and `make demo` need
#   scripts/deps.sh test     the drivers that the tests use, Pgpool-II's tools and a browser
#   scripts/deps.sh bench    and the proxies that the benchmark compares with
#   scripts/deps.sh suite    what runs PostgreSQL's own suites
#
# On Debian and its kin, as root or with sudo. It is quick when all is there, and
# it starts no service: no default cluster, no pooler.
set -euo pipefail
cd "$(dirname "$0")/.."

level=${1:-demo}
packages=()

# need PACKAGE COMMAND...: the package is missing if the command fails.
need() {
	local package=$1
	shift
	if ! "$@" >/dev/null 2>&1; then
		packages+=("$package")
	fi
}

have_server() { compgen -G '/usr/lib/postgresql/*/bin/postgres' || [ -n "${HOWDAH_PG_BIN:-}" ]; }
have_pgbench() { command -v pgbench || compgen -G '/usr/lib/postgresql/*/bin/pgbench'; }

server_version() { ls /usr/lib/postgresql 2>/dev/null | sort -n | tail -1 | grep . || echo 15; }
have_pgpool_adm() { test -e "/usr/share/postgresql/$(server_version)/extension/pgpool_adm.control"; }

need postgresql have_server
need postgresql-contrib have_pgbench
need postgresql-client command -v psql
need gcc command -v gcc
need libc6-dev test -e /usr/include/stdlib.h
need make command -v make
if [ "$level" != demo ]; then
	need iproute2 command -v ip
	need util-linux command -v setpriv
	need nodejs command -v node
	need npm command -v npm
	need python3 test -x /usr/bin/python3
	need python3-psycopg2 /usr/bin/python3 -c 'import psycopg2'
	need libfaketime compgen -G '/usr/lib/*/faketime/libfaketime.so.1'
	need python3-psycopg /usr/bin/python3 -c 'import psycopg'
	need libpostgresql-jdbc-java test -e /usr/share/java/postgresql.jar
	need default-jdk-headless command -v javac
	need slapd test -x /usr/sbin/slapd
	# Pgpool-II's tools, and its extension pgpool_adm, must work with howdah.
	need pgpool2 test -x /usr/sbin/pcp_node_info
	need "postgresql-$(server_version)-pgpool2" have_pgpool_adm
	need chromium command -v chromium
	need systemd command -v systemd-analyze
	need systemd-container command -v systemd-nspawn
	need dbus command -v dbus-daemon
fi
# Both programs and headers: one comes without the other where only part of the package is left.
have_server_dev() {
	test -x "/usr/lib/postgresql/$(server_version)/lib/pgxs/src/test/isolation/isolationtester" &&
		test -e "/usr/include/postgresql/$(server_version)/server/postgres.h"
}
if [ "$level" = suite ]; then
	need "postgresql-server-dev-$(server_version)" have_server_dev
	need bzip2 command -v bzip2
fi
if [ "$level" = bench ]; then
	need pgbouncer test -x /usr/sbin/pgbouncer
	need haproxy test -x /usr/sbin/haproxy
	need keepalived test -x /usr/sbin/keepalived
	need iputils-arping test -x /usr/bin/arping
fi

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "scripts/deps.sh: install these packages as root: ${packages[*]}" >&2
		exit 1
	fi
}

# Debian's packages make a cluster and start services when installed; these two
# files forbid it, and are removed again unless they were there.
policy=/usr/sbin/policy-rc.d
no_cluster=/etc/postgresql-common/createcluster.d/howdah.conf
undo=()
forbid_services() {
	if ! as_root test -e "$policy"; then
		undo+=("$policy")
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
	fi
	if ! as_root test -e "$no_cluster"; then
		undo+=("$no_cluster")
		as_root mkdir -p "$(dirname "$no_cluster")"
		echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
	fi
}
allow_services() {
	if [ ${#undo[@]} -gt 0 ]; then
		as_root rm -f "${undo[@]}"
	fi
}

if [ ${#packages[@]} -gt 0 ]; then
	if ! command -v apt-get >/dev/null; then
		echo "scripts/deps.sh: no apt-get here; install the likes of: ${packages[*]}" >&2
		exit 1
	fi
	echo "scripts/deps.sh: installing ${packages[*]}"
	trap allow_services EXIT
	forbid_services
	as_root apt-get update -q
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
fi

# node-postgres, as the lock file says.
drivers=integration/drivers/node
if [ "$level" != demo ] && ! cmp -s "$drivers/package-lock.json" "$drivers/node_modules/.from-lock"; then
	(cd "$drivers" && npm ci --no-audit --no-fund --loglevel=error)
	cp "$drivers/package-lock.json" "$drivers/node_modules/.from-lock"
fi
