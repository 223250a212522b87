package packaging_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// run runs a command in the repository and returns what it prints.
func run(t *testing.T, limit time.Duration, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

var debOnce = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("make", "deb", "VERSION=1.2.3~test")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make deb: %w\n%s", err, out)
	}
	debs, err := filepath.Glob("../../dist/howdah_1.2.3~test_*.deb")
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("make deb made %v: %w", debs, err)
	}
	return filepath.Abs(debs[0])
})

// makeDeb makes the package, once for all tests.
func makeDeb(t *testing.T) string {
	t.Helper()
	deb, err := debOnce()
	if err != nil {
		t.Fatal(err)
	}
	return deb
}

// system is what the script does in the copy of the system. Each line that it prints is looked at.
const system = `set -eu
root=$1 deb=$2
mount -t tmpfs none "$root"
mkdir "$root/up" "$root/work" "$root/sys"
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/up,workdir=$root/work" "$root/sys"
mount --rbind /dev "$root/sys/dev"
mount -t proc proc "$root/sys/proc"
mount -t tmpfs none "$root/sys/tmp"
mount -t tmpfs none "$root/sys/run"
cp "$deb" "$root/sys/tmp/howdah.deb"
cat > "$root/sys/tmp/inside" <<'INSIDE'
set -eu
export DEBIAN_FRONTEND=noninteractive
# A base image need not have what the package depends on.
dpkg -i /tmp/howdah.deb >/tmp/install 2>&1 || dpkg -i --force-depends /tmp/howdah.deb >>/tmp/install 2>&1 || { cat /tmp/install; exit 1; }
grep -q 'systemctl enable --now howdah' /tmp/install && echo hint
getent passwd howdah | cut -d: -f6,7
howdah version
systemd-analyze verify /lib/systemd/system/howdah.service 2>&1 | grep howdah || echo verified
for f in /usr/share/doc/howdah/examples/single.yml /usr/share/howdah/howdah.schema.json /usr/share/bash-completion/completions/howdah; do test -s $f; done
# It serves as its own user, and stops in order.
install -d -o howdah -g howdah /run/howdah /var/lib/howdah
cat > /etc/howdah/howdah.yml <<'CONF'
listen: {addresses: [127.0.0.1], port: 59999}
backends: [{name: pg0, host: 127.0.0.1, port: 1}]
auth: {hba: ["host all all 127.0.0.1/32 scram-sha-256"]}
failover: {state_file: /var/lib/howdah/failover.json}
admin: {socket: /run/howdah/admin.sock}
CONF
setpriv --reuid=howdah --regid=howdah --clear-groups --no-new-privs --bounding-set=-all /usr/bin/howdah serve -c /etc/howdah/howdah.yml 2>/tmp/log &
pid=$!
for i in $(seq 100); do howdah status >/tmp/status 2>&1 && break; sleep 0.1; done
grep 'nodes up' /tmp/status || { cat /tmp/log; exit 1; }
kill $pid; wait $pid && echo stopped
dpkg -i /tmp/howdah.deb >/dev/null 2>&1 || dpkg -i --force-depends /tmp/howdah.deb >/dev/null 2>&1
test -e /etc/howdah/howdah.yml && echo 'kept over an upgrade'
dpkg -r howdah >/dev/null 2>&1
test ! -e /usr/bin/howdah && test -e /etc/howdah/howdah.yml && echo 'removed, the configuration is kept'
dpkg -P howdah >/dev/null 2>&1
find / -xdev -path /proc -prune -o -path /tmp -prune -o -path /run -prune -o -name '*howdah*' -newer /tmp/howdah.deb -print 2>/dev/null
getent passwd howdah >/dev/null || echo 'purged'
INSIDE
chroot "$root/sys" sh /tmp/inside
`

// The package installs, its program serves as its own user, an upgrade and a removal keep the configuration, and
// a purge leaves nothing.
func TestPackage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("needs root, to install a package into a copy of this system")
	}
	deb := makeDeb(t)
	script := filepath.Join(t.TempDir(), "system")
	if err := os.WriteFile(script, []byte(system), 0o700); err != nil {
		t.Fatal(err)
	}
	out := run(t, 5*time.Minute, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "sh", "-c", `ip link set lo up; exec sh "$@"`, "sh", script, t.TempDir(), deb)
	want := []string{"hint", "/var/lib/howdah:/usr/sbin/nologin", "howdah 1.2.3~test (", "verified", "nodes up", "stopped", "kept over an upgrade", "removed, the configuration is kept", "purged"}
	expect(t, strings.Split(strings.TrimSpace(out), "\n"), want)
}

// The unit is one that systemd accepts, and exposes little.
func TestUnit(t *testing.T) {
	for _, unit := range []string{"packaging/howdah.service", "packaging/howdah-witness.service"} {
		out := run(t, time.Minute, "systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
		if !strings.Contains(out, "Overall exposure level") {
			t.Errorf("got %s", out)
		}
	}
	data, err := os.ReadFile("../../packaging/howdah.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Type=notify", "WatchdogSec=", "ExecReload=/bin/kill -HUP $MAINPID", "KillMode=control-group", "NoNewPrivileges=yes", "ProtectSystem=strict"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the unit has no %s", want)
		}
	}
}
