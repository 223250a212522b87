# Makes the server in $data a standby of $host:$port anew. Runs as the server's user, on its host; pg_basebackup takes the
# password of $user, if one is needed, from ~/.pgpass. What was in $data is kept beside it until the copy is complete.
set -eu
for dir in "/usr/lib/postgresql/$version/bin" "/usr/pgsql-$version/bin" "/usr/local/pgsql/bin"; do
	[ -x "$dir/pg_basebackup" ] && PATH="$dir:$PATH"
done
# Debian's servers are started by their name, with settings that are not in the data directory.
debian=$(pg_lsclusters -h 2>/dev/null | awk -v d="$data" '$6 == d { print $1, $2 }') || debian=
running() { pg_ctl -D "$data" status >/dev/null 2>&1; }
if running; then
	if [ -n "$debian" ]; then pg_ctlcluster $debian stop -m fast; else pg_ctl -D "$data" -m fast -w stop >/dev/null; fi
fi
if running; then echo "the server in $data does not stop" >&2; exit 1; fi

old="$data.before-recovery"
rm -rf "$old"
[ -e "$data" ] && mv "$data" "$old"
back() {
	rm -rf "$data"
	[ -e "$old" ] && mv "$old" "$data"
	echo "the copy has failed; what was in $data is there again" >&2
	exit 1
}
conninfo="host='$host' port='$port' user='$user'"
[ -n "$application" ] && conninfo="$conninfo application_name='$application'"
pg_basebackup -D "$data" -d "$conninfo" -R -X stream -c fast -w || back
for file in postgresql.conf pg_hba.conf pg_ident.conf; do # the node's own, where they are in the data directory
	[ -e "$old/$file" ] && cp -p "$old/$file" "$data/$file"
done
if [ -n "$debian" ]; then pg_ctlcluster $debian start; else pg_ctl -D "$data" -l "$data/recovery.log" -w start >/dev/null; fi
rm -rf "$old"
echo "$data is a standby of $host:$port"
