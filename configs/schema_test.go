package configs_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/howdah/howdah/configs"
)

const schemaFile = "howdah.schema.json"

// The schema in the repository is that of the types, and describes every key.
func TestSchema(t *testing.T) {
	got, err := configs.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not up to date: go test ./configs -run TestSchema -update", schemaFile)
	}
	var top map[string]any
	if err := json.Unmarshal(got, &top); err != nil {
		t.Fatal(err)
	}
	pool := top["properties"].(map[string]any)["pool"].(map[string]any)["properties"].(map[string]any)["mode"].(map[string]any)
	if pool["default"] != "session" || len(pool["enum"].([]any)) != 3 || len(pool["description"].(string)) < 50 {
		t.Errorf("pool.mode: %v", pool)
	}
}
