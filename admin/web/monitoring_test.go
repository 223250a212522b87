package web_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/admin/admintest"
	"github.com/howdah/howdah/admin/web"
)

var metricName = regexp.MustCompile(`\b(howdah|go|process)_[a-z_]+`)

// What the dashboard and the alert rules ask for is there, and the dashboard shows what there is.
func TestMonitoring(t *testing.T) {
	s, a := admintest.New()
	a.Actions.Watchdog = func() (admin.Watchdog, error) {
		return admin.Watchdog{Quorum: 1, Leader: "a", Members: []admin.WatchdogMember{{Name: "a", StateTxt: "LEADER"}}}, nil
	}
	url := start(t, s, web.New(a, slog.New(slog.DiscardHandler)), "127.0.0.1")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	metrics, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for line := range strings.Lines(string(metrics)) {
		if name, _, ok := strings.Cut(line, "{"); ok && line[0] != '#' {
			there[name] = true
		} else if name, _, ok := strings.Cut(line, " "); ok && line[0] != '#' {
			there[name] = true
		}
	}
	asked := map[string]bool{}
	for _, file := range []string{"grafana.json", "alerts.yml"} {
		data, err := os.ReadFile("../../configs/monitoring/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var parsed any
		if strings.HasSuffix(file, ".json") {
			err = json.Unmarshal(data, &parsed)
		} else {
			err = yaml.Unmarshal(data, &parsed)
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, expr := range expressions(parsed) {
			for _, name := range metricName.FindAllString(expr, -1) {
				asked[name] = true
				if !there[name] {
					t.Errorf("%s asks for %s, which there is not", file, name)
				}
			}
		}
	}
	for name := range there {
		switch {
		case !strings.HasPrefix(name, "howdah_"), asked[name], strings.HasSuffix(name, "_info"), name == "howdah_counter", name == "howdah_probe_seconds_total",
			name == "howdah_node_weight", name == "howdah_cluster_epoch", name == "howdah_cache_bytes", name == "howdah_watchdog_members":
		default:
			t.Errorf("nobody looks at %s: add it to configs/monitoring, or to this list", name)
		}
	}
}

// expressions are the values of all keys "expr" and "query".
func expressions(v any) []string {
	var all []string
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if text, ok := value.(string); ok && (key == "expr" || key == "query") {
				all = append(all, text)
			}
			all = append(all, expressions(value)...)
		}
	case []any:
		for _, value := range v {
			all = append(all, expressions(value)...)
		}
	}
	return all
}
