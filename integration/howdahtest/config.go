package howdahtest

import (
	"fmt"
	"os"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/howdah/howdah/integration/pgcluster"
)

// Options describe a howdah to start. Cluster or Settings["backends"] must be given.
type Options struct {
	// Cluster's nodes are the backends, named node0, node1, ...
	Cluster *pgcluster.Cluster
	// Weights are the nodes' weights; missing ones are 1.
	Weights []float64
	// Settings are configuration keys by dotted path, "failover.hold": "1s". They
	// win over the defaults here: listen on 127.0.0.1, trust everyone there.
	Settings map[string]any
	// AllowInLog lets a test that provokes it end well though the log has it.
	AllowInLog []string
}

// Config renders the configuration file for a howdah on port.
func (o Options) Config(port int) (string, error) {
	root := map[string]any{}
	set(root, "listen.addresses", []string{"127.0.0.1"})
	set(root, "listen.port", port)
	set(root, "auth.hba", []string{"host all all 127.0.0.1/32 trust"})
	set(root, "log.level", logLevel())
	if o.Cluster != nil {
		set(root, "backends", o.backends())
	}
	for key, value := range o.Settings {
		set(root, key, value)
	}
	if _, ok := o.Settings["auth.hba_file"]; ok {
		delete(root["auth"].(map[string]any), "hba")
	}
	text, err := yaml.Marshal(root)
	if err != nil {
		return "", fmt.Errorf("render configuration: %w", err)
	}
	return string(text), nil
}

// logLevel is HOWDAH_LOG, or info: a line per statement would bury what matters.
func logLevel() string {
	if level := os.Getenv("HOWDAH_LOG"); level != "" {
		return level
	}
	return "info"
}

func (o Options) backends() []map[string]any {
	var backends []map[string]any
	for i := range o.Cluster.Nodes() {
		weight := 1.0
		if i < len(o.Weights) {
			weight = o.Weights[i]
		}
		backends = append(backends, map[string]any{
			"name": fmt.Sprintf("node%d", i), "host": "127.0.0.1", "port": o.Cluster.Port(i), "weight": weight,
		})
	}
	return backends
}

// set puts value at a dotted path, making the maps on the way.
func set(root map[string]any, path string, value any) {
	for {
		head, rest, nested := strings.Cut(path, ".")
		if !nested {
			root[head] = value
			return
		}
		section, ok := root[head].(map[string]any)
		if !ok {
			section = map[string]any{}
			root[head] = section
		}
		root, path = section, rest
	}
}

func writeConfig(path string, o Options, port int) error {
	text, err := o.Config(port)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}
