package packaging_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// machine boots systemd in a copy of this system, without the services that it has enabled, and runs a script in it.
const machine = `set -eu
root=$1 deb=$2 inside=$3
mount -t tmpfs none "$root"
mkdir "$root/up" "$root/work" "$root/sys"
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/up,workdir=$root/work" "$root/sys"
cp "$deb" "$root/sys/howdah.deb"
cp "$inside" "$root/sys/inside"
rm -rf "$root"/sys/etc/systemd/system/*.wants
tr -d - < /proc/sys/kernel/random/uuid > "$root/sys/etc/machine-id" # with none, systemd would enable all that is installed
cat > "$root/sys/etc/systemd/system/probe.target" <<'UNIT'
[Unit]
Requires=basic.target dbus.service
After=basic.target dbus.service
AllowIsolate=yes
UNIT
# What this system has mounted below / is not in the copy; the copy gets what systemd wants there.
systemd-nspawn -q -D "$root/sys" --register=no --keep-unit --private-network --console=read-only -b systemd.unit=probe.target </dev/null >"$root/console" 2>&1 &
nspawn=$!
trap 'kill -KILL $nspawn 2>/dev/null || :' EXIT
pid=
for i in $(seq 600); do
	pid=$(pgrep -P $nspawn || :)
	if [ -n "$pid" ] && nsenter -t "$pid" -m -u -i -n -p -- systemctl is-active probe.target >/dev/null 2>&1; then break; fi
	if [ "$i" = 600 ]; then cat "$root/console"; echo 'systemd does not boot'; exit 1; fi
	sleep 0.1
done
nsenter -t "$pid" -m -u -i -n -p -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh /inside || { rc=$?; nsenter -t "$pid" -m -u -i -n -p -- journalctl -u howdah --no-pager | tail -40; exit $rc; }
`

// boot runs a script in a machine where systemd runs and howdah.deb lies in /.
func boot(t *testing.T, deb, inside string) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("needs root, to boot a copy of this system")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"machine": machine, "inside": inside} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	out := run(t, 5*time.Minute, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", filepath.Join(dir, "machine"), t.TempDir(), deb, filepath.Join(dir, "inside"))
	return strings.Split(strings.TrimSpace(out), "\n")
}

// expect compares what a script printed, line by line, with what it should.
func expect(t *testing.T, lines, want []string) {
	t.Helper()
	for i, w := range want {
		if i >= len(lines) || !strings.HasPrefix(lines[i], w) {
			t.Fatalf("line %d is not %q:\n%s", i+1, w, strings.Join(lines, "\n"))
		}
	}
	if len(lines) != len(want) {
		t.Errorf("more than expected:\n%s", strings.Join(lines, "\n"))
	}
}

// service is the life of the service. Each line that it prints is looked at.
const service = `set -eu
export DEBIAN_FRONTEND=noninteractive
install() { dpkg -i /howdah.deb >/tmp/install 2>&1 || dpkg -i --force-depends /howdah.deb >>/tmp/install 2>&1 || { cat /tmp/install; exit 1; }; }
of() { systemctl show -P "$1" howdah; }
until_is() { for i in $(seq 300); do [ "$(of "$1")" = "$2" ] && return; sleep 0.1; done; echo "$1 is $(of "$1"), not $2"; exit 1; }
said() { for i in $(seq 100); do journalctl -u howdah --no-pager -o cat | grep -q "$1" && return; sleep 0.1; done; echo "the journal has no $1"; exit 1; }
install
echo "installed: $(systemctl is-enabled howdah || :) $(systemctl is-active howdah || :)"

# A configuration with a mistake: the journal says which, and nothing starts.
echo 'lissten: {}' > /etc/howdah/howdah.yml
systemctl start howdah 2>/dev/null && exit 1
said 'lissten'
systemctl stop howdah; systemctl reset-failed howdah 2>/dev/null || :
echo 'a mistake is told'

cat > /etc/howdah/howdah.yml <<'CONF'
listen: {addresses: [127.0.0.1], port: 59999}
backends: [{name: pg0, host: 127.0.0.1, port: 1}]
auth: {hba: ["host all all 127.0.0.1/32 scram-sha-256"]}
failover: {state_file: /var/lib/howdah/failover.json}
admin: {socket: /run/howdah/admin.sock}
CONF
systemctl enable --now howdah 2>/dev/null
howdah status | grep -q 'nodes up' && echo 'ready when systemctl returns'
echo "type $(of Type), watchdog $(of WatchdogUSec), $(of StatusText)"

pid=$(of MainPID)
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/$pid/status | tr -s '\t\n' '  '; echo
ps -o user= -p $pid
for path in /usr/x /etc/howdah/x /var/lib/x /home/x /root/x; do nsenter -t $pid -m touch $path 2>/dev/null && echo "can write $path"; done
nsenter -t $pid -m touch /var/lib/howdah/x /run/howdah/x && echo 'writes only where it may'

sed -i 's/^admin:.*/&\nlog: {level: debug}/' /etc/howdah/howdah.yml
systemctl reload howdah # returns when the signal is sent
for i in $(seq 300); do howdah log level | grep -qi debug && break; sleep 0.1; done
until_is ActiveState active
howdah log level | grep -qi debug && echo 'reloaded'
echo 'nonsense: 1' >> /etc/howdah/howdah.yml
systemctl reload howdah 2>/dev/null || :
said nonsense
until_is ActiveState active
[ "$(of MainPID)" = $pid ] && howdah status >/dev/null && echo 'serves on with a mistake in the new file'
sed -i '/nonsense/d' /etc/howdah/howdah.yml

kill -KILL $pid
until_is NRestarts 1
until_is ActiveState active
howdah status >/dev/null && echo 'back after a crash'

# A howdah that hangs: stopped, it says nothing any more.
mkdir -p /run/systemd/system/howdah.service.d
printf '[Service]\nWatchdogSec=4s\n' > /run/systemd/system/howdah.service.d/quick.conf
systemctl daemon-reload; systemctl restart howdah
pid=$(of MainPID)
sleep 5 # longer than WatchdogSec
[ "$(of MainPID)" = $pid ] || { echo 'restarted while it works'; exit 1; }
kill -STOP $pid
for i in $(seq 300); do [ "$(of MainPID)" != $pid ] && [ "$(of ActiveState)" = active ] && break; sleep 0.1; done
said 'Watchdog timeout'
howdah status >/dev/null && echo 'back after it hung'

pid=$(of MainPID)
install
until_is ActiveState active
[ "$(of MainPID)" != $pid ] && howdah status >/dev/null && echo 'an upgrade restarts it'

systemctl stop howdah
echo "stopped: $(of ActiveState) $(of Result)"
systemctl start howdah
howdah stop fast >/dev/null
until_is ActiveState inactive
sleep 1.5 # longer than RestartSec
[ "$(of ActiveState)" = inactive ] && echo 'stays down when an operator stops it'
# A file of its own, as the example for logrotate has it.
cp /etc/howdah/howdah.yml /etc/howdah/plain.yml
sed -i 's/^log: .*/log: {destination: file}/' /etc/howdah/howdah.yml
systemctl start howdah
cp /usr/share/doc/howdah/examples/logrotate /etc/logrotate.d/howdah
rotate=$(sed -n 's/^\t\t\(systemctl kill .*\)/\1/p' /etc/logrotate.d/howdah)
grep -q 'msg=listening' /var/log/howdah/howdah.log && mv /var/log/howdah/howdah.log /var/log/howdah/howdah.log.1 && sh -c "$rotate"
for i in $(seq 100); do [ -e /var/log/howdah/howdah.log ] && break; sleep 0.1; done
howdah reload >/dev/null && grep -q 'msg=reloaded' /var/log/howdah/howdah.log && echo "logs to a file: $(stat -c '%U %a' /var/log/howdah /var/log/howdah/howdah.log | tr '\n' ' ')"
systemctl stop howdah
mv /etc/howdah/plain.yml /etc/howdah/howdah.yml
rm /etc/logrotate.d/howdah

# The floating address: the capabilities that it takes and no others, and it goes with the service, however that ends.
mkdir -p /etc/systemd/system/howdah.service.d; cp /usr/share/doc/howdah/examples/vip.conf /etc/systemd/system/howdah.service.d/
ip link add eth9 type veth peer name other; ip addr add 10.9.9.1/24 dev eth9; ip link set eth9 up; ip link set other up
(cd /etc/howdah; howdah watchdog keygen -o keys -cluster shop p1 w1 >/dev/null; chown -R howdah keys)
cp /etc/howdah/howdah.yml /etc/howdah/plain.yml
cat >> /etc/howdah/howdah.yml <<'CONF'
watchdog:
  {cluster: shop, name: p1, data_dir: /var/lib/howdah/watchdog, keys: keys/p1, peers: [{name: p1, host: 10.9.9.1}]}
vip: {mode: netlink, addresses: [10.9.9.100], interface: eth9}
CONF
has() { for i in $(seq 300); do ip addr show eth9 | grep -q 10.9.9.100 && [ "$1" = yes ] && return; ip addr show eth9 | grep -q 10.9.9.100 || [ "$1" = yes ] || return 0; sleep 0.1; done; ip addr show eth9; exit 1; }
systemctl daemon-reload; systemctl start howdah
has yes
grep CapEff /proc/$(of MainPID)/status | tr -d '\t\n'; echo ' and has the address'
systemctl stop howdah
has no
systemctl start howdah
has yes
for p in $(cat /sys/fs/cgroup/systemd/system.slice/howdah.service/cgroup.procs /sys/fs/cgroup/system.slice/howdah.service/cgroup.procs 2>/dev/null); do kill -KILL $p || :; done # the guardian may have gone with howdah
has no; has yes
systemctl stop howdah
has no
echo 'the address comes and goes'
cat > /etc/howdah/howdah.yml <<'CONF'
watchdog:
  {cluster: shop, name: w1, data_dir: /var/lib/howdah/witness, keys: keys/w1, peers: [{name: w1, host: 127.0.0.1, role: witness}, {name: p1, host: 10.9.9.1}, {name: p2, host: 10.9.9.2}]}
CONF
systemctl start howdah-witness && systemctl is-active howdah-witness >/dev/null && echo 'a witness waits for the others'
systemctl stop howdah-witness
mv /etc/howdah/plain.yml /etc/howdah/howdah.yml
rm -r /etc/systemd/system/howdah.service.d
systemctl daemon-reload
systemctl start howdah
dpkg -r howdah >/dev/null 2>&1
echo "removed: $(systemctl is-active howdah || :) $(pgrep -x howdah || echo 'no process') $(ls /etc/systemd/system/multi-user.target.wants 2>/dev/null | grep howdah || echo 'no link')"
dpkg -P howdah >/dev/null 2>&1
find / -xdev -name '*howdah*' -newer /howdah.deb ! -path '/howdah.deb' ! -path '/proc/*' ! -path '/sys/*' ! -path '/tmp/*' ! -path '/run/systemd/*' -print 2>/dev/null
systemctl list-unit-files 'howdah*' --no-legend || :
getent passwd howdah >/dev/null || echo 'purged'
`

// The service under a running systemd: it is ready when systemctl returns, confined, reloaded, restarted when it
// crashes or hangs, stopped, upgraded and removed.
func TestSystemd(t *testing.T) {
	expect(t, boot(t, makeDeb(t), service), []string{"installed: disabled inactive", "a mistake is told", "ready when systemctl returns",
		"type notify, watchdog 10s, serving", "CapEff: 0000000000000000 NoNewPrivs: 1 Seccomp: 2", "howdah", "writes only where it may", "reloaded",
		"serves on with a mistake in the new file", "back after a crash", "back after it hung", "an upgrade restarts it", "stopped: inactive success",
		"stays down when an operator stops it", "logs to a file: howdah 750 howdah 640", "CapEff:0000000000003000 and has the address", "the address comes and goes", "a witness waits for the others", "removed: inactive no process no link", "purged"})
}
