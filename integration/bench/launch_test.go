package main

import "testing"

func TestConfigs(t *testing.T) {
	t.Parallel()
	s := site{dir: "/tmp/x", port: 7000, spare: 7001, backends: []int{5500, 5501, 5502}, clients: 80, connections: 60,
		user: "postgres", database: "bench"}
	render := map[string]func() string{
		"# howdah":    func() string { return howdahConfig(s) },
		"# pgbouncer": func() string { return pgbouncerConfig(s, "/tmp/x/users.txt") },
		"# haproxy":   func() string { return haproxyConfig(s) },
		"# pgpool":    func() string { return pgpoolConfig(s) },
	}
	runCases(t, "configs.txt", func(t *testing.T, input string) string {
		f := render[input]
		if f == nil {
			t.Fatalf("no configuration is called %q", input)
		}
		return f()
	})
}
