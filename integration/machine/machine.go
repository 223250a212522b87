// Package machine tells what benchmarks ran on: their readers judge numbers by it.
package machine

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Facts are what a reader needs to judge numbers: name and value, in order.
type Facts [][2]string

// Here are the facts of this machine; what cannot be found out is called unknown.
func Here() Facts {
	return Facts{
		{"Date", time.Now().UTC().Format(time.DateOnly)},
		{"CPU", fmt.Sprintf("%s, %d cores", cpuModel(readText("/proc/cpuinfo")), runtime.NumCPU())},
		{"Memory", memory(readText("/proc/meminfo"))},
		{"Kernel", "Linux " + strings.TrimSpace(readText("/proc/sys/kernel/osrelease"))},
	}
}

// Table is the facts in Markdown.
func (f Facts) Table() string {
	text := "| | |\n|---|---|\n"
	for _, fact := range f {
		text += fmt.Sprintf("| %s | %s |\n", fact[0], fact[1])
	}
	return text
}

// FirstLine is the first line that the program prints, wherever to: Pgpool-II prints its
// version to standard error.
func FirstLine(path string, args ...string) string {
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
