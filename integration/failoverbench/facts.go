package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// facts are what a reader needs to judge the numbers: name and value, in order.
func facts(howdah string) [][2]string {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	return [][2]string{
		{"Date", time.Now().UTC().Format(time.DateOnly)},
		{"Machine", fmt.Sprintf("%d processors, Linux %s", runtime.NumCPU(), strings.TrimSpace(string(kernel)))},
		{"howdah", firstLine(howdah, "version")},
		{"Pgpool-II", firstLine(pgpoolProgram, "--version")},
		{"PostgreSQL", firstLine("/usr/bin/psql", "--version")},
	}
}

// firstLine is the first line that a program prints, wherever to.
func firstLine(path string, args ...string) string {
	out, err := exec.Command(path, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" && err != nil {
		return "unknown: " + err.Error()
	}
	return line
}
