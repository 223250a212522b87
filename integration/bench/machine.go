package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// facts are what a reader needs to judge the numbers: name and value, in order.
type facts [][2]string

func machineFacts() facts {
	return facts{
		{"CPU", fmt.Sprintf("%s, %d cores", cpuModel(readText("/proc/cpuinfo")), runtime.NumCPU())},
		{"Memory", memory(readText("/proc/meminfo"))},
		{"Kernel", "Linux " + strings.TrimSpace(readText("/proc/sys/kernel/osrelease"))},
	}
}

// programFacts asks every program its version.
func programFacts(programs map[string]string, pgbenchPath string) facts {
	var f facts
	for _, p := range []struct{ name, key, flag string }{
		{"howdah", "howdah", "version"},
		{"PgBouncer", "pgbouncer", "--version"},
		{"HAProxy", "haproxy", "-v"},
		{"Pgpool-II", "pgpool", "--version"},
	} {
		if path := programs[p.key]; path != "" {
			f = append(f, [2]string{p.name, firstLine(path, p.flag)})
		}
	}
	return append(f, [2]string{"pgbench", firstLine(pgbenchPath, "--version")})
}

// firstLine is the first line that the program prints; Pgpool-II prints its
// version to standard error.
func firstLine(path string, args ...string) string {
	out, err := exec.Command(path, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" && err != nil {
		return "unknown: " + err.Error()
	}
	return line
}

func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		name, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func memory(meminfo string) string {
	for line := range strings.Lines(meminfo) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "MemTotal:" {
			continue
		}
		if kb, err := strconv.ParseInt(f[1], 10, 64); err == nil {
			return fmt.Sprintf("%.1f GB", float64(kb)/(1<<20))
		}
	}
	return "unknown"
}

// readText is a small file's text, empty if it cannot be read.
func readText(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(b)
}
